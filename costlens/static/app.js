"use strict";

// Theme: system, light or dark. It runs before the first paint; everything else waits for the document.
const root = document.documentElement;
const themes = ["system", "light", "dark"];
const theme = () => localStorage.getItem("theme") || "system";
const applyTheme = () => (theme() === "system" ? delete root.dataset.theme : (root.dataset.theme = theme()));
applyTheme();
root.classList.add("js");

document.addEventListener("DOMContentLoaded", () => {
  // A filter holds as soon as it is chosen; dates wait for their button.
  document.addEventListener("change", ({ target }) => {
    const form = target.closest("form[data-auto-submit]");
    if (form && target.value !== "dates" && !target.closest("[data-no-submit]")) form.requestSubmit();
  });

  const copy = async (button, text) => {
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else copyTheOldWay(text);
    const label = button.querySelector("span") || button;
    const before = label.textContent;
    label.textContent = "Copied";
    setTimeout(() => (label.textContent = before), 1500);
  };
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", () => copy(button, button.dataset.copy));
  }
  for (const button of document.querySelectorAll("[data-copy-link]")) {
    button.addEventListener("click", () => copy(button, location.href));
  }

  const search = document.querySelector(".search input");
  const keys = document.getElementById("keys");
  const showKeys = () => {
    keys.querySelector("[data-if-search]").hidden = !search;
    keys.showModal();
  };
  document.querySelector("[data-keys]")?.addEventListener("click", showKeys);

  document.querySelector("form[data-submit-now]")?.requestSubmit();

  // What changes by itself is fetched again, unless somebody is at it.
  const refresh = async () => {
    const part = document.querySelector("[data-live]");
    if (!part) return;
    if (!document.hidden && !part.contains(document.activeElement)) {
      const answer = await fetch(location.href).catch(() => null);
      const fresh = answer?.ok && new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id);
      if (fresh) part.replaceWith(fresh);
      else if (answer?.ok) location.reload(); // what it told of is over
    }
    setTimeout(refresh, 2000);
  };
  setTimeout(refresh, 2000);

  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" && search) {
      event.preventDefault();
      search.focus();
    }
    if (event.key === "?" && keys && !keys.open) showKeys();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") document.querySelector("details:is(.org, .why, .confirm)[open]")?.removeAttribute("open");
  });

  const charts = [...document.querySelectorAll("canvas[data-chart]")].map(spendChart);
  const recolour = () => charts.forEach((chart) => chart.update());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);

  const button = document.querySelector("[data-theme-switch]");
  const nameTheme = () => button && (button.querySelector("span").textContent = `Theme: ${theme()}`);
  nameTheme();
  button?.addEventListener("click", () => {
    localStorage.setItem("theme", themes[(themes.indexOf(theme()) + 1) % themes.length]);
    applyTheme();
    nameTheme();
    recolour();
  });
});

// A page that came by plain http from another machine has no clipboard of its own.
function copyTheOldWay(text) {
  const field = document.createElement("textarea");
  field.className = "sr";
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

const dollars = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
const wholeDollars = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD", maximumFractionDigits: 0 });

// Stacked bars, one dataset per outcome, with the comparison as wide pale bars behind.
function spendChart(canvas) {
  const data = JSON.parse(document.getElementById(canvas.dataset.chart).textContent);
  const small = { size: 11, family: getComputedStyle(document.body).fontFamily };
  const yLabel = (value) => (value && value < 10 ? dollars : wholeDollars).format(value);
  return new Chart(canvas, {
    type: "bar",
    data: {
      labels: data.labels,
      datasets: data.series.map(({ name, label, values }) => ({
        name,
        label,
        data: values,
        stack: name === "previous" ? "previous" : "current",
        order: name === "previous" ? 1 : 0,
        barPercentage: name === "previous" ? 0.86 : 0.56,
        categoryPercentage: 1,
        grouped: false,
        backgroundColor: (context) => token(`[data-series=${context.dataset.name}]`, "backgroundColor"),
      })),
    },
    options: {
      animation: false,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      scales: {
        x: {
          stacked: true,
          grid: { display: false },
          border: { display: false },
          ticks: { font: small, color: axisColour, autoSkip: false, maxRotation: 0, callback: (at) => data.ticks[at] },
        },
        y: {
          stacked: true,
          grid: { color: () => token(".chart", "borderTopColor") },
          border: { display: false },
          ticks: { font: small, color: axisColour, maxTicksLimit: 5, callback: yLabel },
        },
      },
      plugins: {
        colors: { enabled: false },
        legend: { display: false },
        tooltip: { callbacks: { label: (item) => ` ${item.dataset.label}: ${dollars.format(item.raw)}` } },
      },
    },
  });
}

// Colours come from the stylesheet, resolved for the theme in force.
const token = (selector, property) => getComputedStyle(document.querySelector(selector))[property];
const axisColour = () => token(".canvas", "color");
