// The viewer of /docs: every route of openapi.json, to be tried with the reader's own key.
"use strict";

window.addEventListener("DOMContentLoaded", () => {
  const place = document.getElementById("viewer");
  place.replaceChildren();
  window.SwaggerUIBundle({
    domNode: place,
    url: place.dataset.document,
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: -1,
    displayRequestDuration: true,
    persistAuthorization: false,
    validatorUrl: null,
  });
});
