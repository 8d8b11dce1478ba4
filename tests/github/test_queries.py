"""Our GraphQL queries are valid against GitHub's public schema, and cheap by its own rules."""

from __future__ import annotations

import pytest
from graphql import DocumentNode, FieldNode, OperationDefinitionNode, parse, validate
from graphql.language.ast import FragmentDefinitionNode, Node, SelectionSetNode

from costlens.github.pages_graphql import QUERIES
from tests.github.peer import schema

each_query = pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.split()[1].partition("(")[0])


@each_query
def test_a_query_is_valid(query: str) -> None:
    assert validate(schema(), parse(query)) == []


def test_a_query_that_is_not_is_told() -> None:
    assert validate(schema(), parse("{ repository(owner: 1) { pulls } }"))


@each_query
def test_no_list_is_nested_three_deep(query: str) -> None:
    """GitHub charges for the product of nested lists."""
    assert deepest(parse(query)) <= 2


def deepest(document: DocumentNode) -> int:
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}

    def depth(node: Node) -> int:
        selections: SelectionSetNode | None = getattr(node, "selection_set", None)
        name = getattr(getattr(node, "name", None), "value", "")
        if selections is None:
            return depth(fragments[name]) if node.kind == "fragment_spread" else 0
        listed = isinstance(node, FieldNode) and any(
            argument.name.value == "first" for argument in node.arguments or ()
        )
        return listed + max(depth(one) for one in selections.selections)

    return max(depth(node) for node in document.definitions if isinstance(node, OperationDefinitionNode))
