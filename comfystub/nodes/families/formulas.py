"""Sums: what ComfyMathExpression works out."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from comfystub.nodes.families.logic import grown
from comfystub.nodes.invocation import Invocation, Result

#: The most bits that a power may have.
LARGEST_POWER = 100_000


def power(base: Any, exponent: Any) -> Any:
    """A power that does not take for ever to work out."""
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * exponent > LARGEST_POWER:
        raise ValueError(f"{base} to the power of {exponent} is too large")
    return base**exponent


OPERATORS: Mapping[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: power,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": abs,
    "ceil": math.ceil,
    "cos": math.cos,
    "float": float,
    "floor": math.floor,
    "int": int,
    "log": math.log,
    "log10": math.log10,
    "log2": math.log2,
    "max": max,
    "min": min,
    "pow": power,
    "round": round,
    "sin": math.sin,
    "sqrt": math.sqrt,
    "sum": sum,
    "tan": math.tan,
}


def evaluate(expression: str, names: Mapping[str, Any]) -> Any:
    """The value of an expression of numbers, names, operators and the functions above.

    Raises ``ValueError`` for anything else, and what Python raises where it cannot be worked out.
    """
    try:
        return _value(ast.parse(expression.strip(), mode="eval").body, names)
    except SyntaxError as error:
        raise ValueError(f"Invalid expression {expression!r}: {error.msg}") from None


def _value(node: ast.AST, names: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
        return node.value
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, ast.UnaryOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](_value(node.operand, names))
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        left, right = _value(node.left, names), _value(node.right, names)
        if isinstance(left, (int, float)) and isinstance(right, (int, float)):
            return OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.BoolOp):
        return _first_that_decides(node, names)
    if isinstance(node, ast.Compare):
        return _compared(node, names)
    if isinstance(node, ast.IfExp):
        return _value(node.body if _value(node.test, names) else node.orelse, names)
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(item, names) for item in node.elts]
    if isinstance(node, ast.Call) and not node.keywords and ast.unparse(node.func) in FUNCTIONS:
        return FUNCTIONS[ast.unparse(node.func)](*(_value(argument, names) for argument in node.args))
    raise ValueError(f"Invalid expression: {ast.unparse(node)} is not known here")


def _first_that_decides(node: ast.BoolOp, names: Mapping[str, Any]) -> Any:
    """The value of ``and`` and ``or``: the first that settles it, else the last."""
    value: Any = None
    for part in node.values:
        value = _value(part, names)
        if bool(value) == isinstance(node.op, ast.Or):
            break
    return value


def _compared(node: ast.Compare, names: Mapping[str, Any]) -> bool:
    left = _value(node.left, names)
    for compare, part in zip(node.ops, node.comparators):
        right = _value(part, names)
        if type(compare) not in OPERATORS:
            raise ValueError(f"Invalid expression: {ast.unparse(node)} is not known here")
        if not OPERATORS[type(compare)](left, right):
            return False
        left = right
    return True


def math_expression(run: Invocation) -> Result:
    """ComfyMathExpression: the result as a float, an integer and a truth value."""
    expression = run.value("expression", "a + b")
    if not expression.strip():
        raise ValueError("Expression cannot be empty.")
    given = grown(run, "values")
    value = evaluate(expression, {"values": list(given.values()), **given})
    if not isinstance(value, (int, float)):
        raise ValueError(f"{expression!r} gives {type(value).__name__}, which is no number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{expression!r} gives {number}, which is not finite")
    return Result((number, int(value), bool(value)))


BEHAVIOURS = {"ComfyMathExpression": math_expression}
