"""What the server has: node classes, models and what their files say."""

from __future__ import annotations

import os
import posixpath
from typing import Any

from comfystub.nodes.catalogue import model_folders
from comfystub.nodes.schema import NodeClass
from comfystub.server.http import NOT_FOUND, Request, Response, json_response
from comfystub.server.state import State


def get_object_info(server: State, request: Request) -> Response:
    known = server.engine.known.catalogue
    classes = (known.get(name) for name in known)
    return json_response({found.name: _info(server, found) for found in classes if found})


def get_node_info(server: State, request: Request, node_class: str) -> Response:
    found = server.engine.known.catalogue.get(node_class)
    return json_response({found.name: _info(server, found)} if found else {})


def _info(server: State, node_class: NodeClass) -> dict[str, Any]:
    return node_class.info(server.engine.known.inventory.options)


def get_folders(server: State, request: Request) -> Response:
    return json_response(server.engine.known.inventory.folders())


def get_models(server: State, request: Request, folder: str) -> Response:
    inventory = server.engine.known.inventory
    return json_response(inventory.names(folder)) if folder in inventory.folders() else NOT_FOUND


def get_embeddings(server: State, request: Request) -> Response:
    names = server.engine.known.inventory.names("embeddings")
    return json_response([os.path.splitext(name)[0] for name in names])


def get_model_folders(server: State, request: Request) -> Response:
    folders = [
        name for name in server.engine.known.inventory.folders() if name not in ("configs", "custom_nodes")
    ]
    endings = model_folders()
    return json_response(
        [
            {"name": name, "folders": [f"/ComfyUI/models/{name}"], "extensions": endings.get(name, [])}
            for name in folders
        ]
    )


def get_model_files(server: State, request: Request, folder: str) -> Response:
    inventory = server.engine.known.inventory
    if folder not in inventory.folders():
        return NOT_FOUND
    # Installed models are names only: there is no file whose times and size could be told.
    return json_response(
        [
            {"name": name, "pathIndex": 0, "modified": 0.0, "created": 0.0, "size": 0}
            for name in inventory.names(folder)
        ]
    )


def get_metadata(server: State, request: Request, folder: str) -> Response:
    """The ``__metadata__`` of a model file: installed models are names, so none has any."""
    return NOT_FOUND


def get_replacements(server: State, request: Request) -> Response:
    return json_response(server.engine.known.catalogue.replacements)


def get_nothing(server: State, request: Request) -> Response:
    """What a server without custom nodes has nothing in; that of a profile may have something."""
    return json_response(server.profile.parts.get(posixpath.basename(request.path), {}))


def get_subgraph(server: State, request: Request, subgraph: str) -> Response:
    return json_response(None)
