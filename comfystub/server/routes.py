"""The table of every route."""

from __future__ import annotations

import functools

from comfystub.engine.releases import Release
from comfystub.server import catalogue, handshake, jobs, prompts, settings, system, uploads, userdata, views
from comfystub.server.router import Route, Router

ROUTES = (
    Route("GET", "/", system.get_index),
    Route("GET", "/ws", handshake.get_socket),
    Route("GET", "/prompt", prompts.get_prompt),
    Route("POST", "/prompt", prompts.post_prompt),
    Route("GET", "/queue", prompts.get_queue),
    Route("POST", "/queue", prompts.post_queue),
    Route("POST", "/interrupt", prompts.post_interrupt),
    Route("POST", "/free", prompts.post_free),
    Route("GET", "/history", prompts.get_history),
    Route("POST", "/history", prompts.post_history),
    Route("GET", "/history/{prompt_id}", prompts.get_history_entry),
    Route("GET", "/api/jobs", jobs.list_jobs),
    Route("POST", "/api/jobs/cancel", jobs.cancel_jobs),
    Route("GET", "/api/jobs/{job_id}", jobs.get_job),
    Route("POST", "/api/jobs/{job_id}/cancel", jobs.cancel_job),
    Route("GET", "/view", views.view),
    Route("POST", "/upload/image", uploads.upload_image),
    Route("POST", "/upload/mask", uploads.upload_mask),
    Route("GET", "/object_info", catalogue.get_object_info),
    Route("GET", "/object_info/{node_class}", catalogue.get_node_info),
    Route("GET", "/models", catalogue.get_folders),
    Route("GET", "/models/{folder}", catalogue.get_models),
    Route("GET", "/embeddings", catalogue.get_embeddings),
    Route("GET", "/view_metadata/{folder}", catalogue.get_metadata),
    Route("GET", "/experiment/models", catalogue.get_model_folders),
    Route("GET", "/experiment/models/{folder}", catalogue.get_model_files),
    Route("GET", "/node_replacements", catalogue.get_replacements),
    Route("GET", "/workflow_templates", catalogue.get_nothing),
    Route("GET", "/i18n", catalogue.get_nothing),
    Route("GET", "/global_subgraphs", catalogue.get_nothing),
    Route("GET", "/global_subgraphs/{subgraph}", catalogue.get_subgraph),
    Route("GET", "/extensions", system.get_extensions),
    Route("GET", "/features", system.get_features),
    Route("GET", "/system_stats", system.get_system_stats),
    Route("GET", "/users", settings.get_users),
    Route("POST", "/users", settings.post_users),
    Route("GET", "/settings", settings.get_settings),
    Route("POST", "/settings", settings.post_settings),
    Route("GET", "/settings/{setting}", settings.get_setting),
    Route("POST", "/settings/{setting}", settings.post_setting),
    Route("GET", "/userdata", userdata.list_files),
    Route("GET", "/v2/userdata", userdata.list_everything),
    Route("GET", "/userdata/{file}", userdata.get_file),
    Route("POST", "/userdata/{file}", userdata.post_file),
    Route("DELETE", "/userdata/{file}", userdata.delete_file),
    Route("POST", "/userdata/{file}/move/{dest}", userdata.move_file),
    Route("GET", "/internal/logs", system.get_logs, twin=False),
    Route("GET", "/internal/logs/raw", system.get_raw_logs, twin=False),
    Route("GET", "/internal/folder_paths", system.get_folder_paths, twin=False),
    Route("GET", "/internal/files/{kind}", system.get_internal_files, twin=False),
    Route("GET", "/api/assets", system.no_assets, twin=False),
    Route("POST", "/api/assets", system.no_assets, twin=False),
    Route("GET", "/api/assets/{asset}", system.no_assets, twin=False),
    Route("GET", "/api/tags", system.no_assets, twin=False),
)

#: What answers only where jobs can be cancelled, and where nodes are replaced.
CANCELLING = (jobs.cancel_job, jobs.cancel_jobs)
REPLACING = (catalogue.get_replacements,)


def routes_of(release: Release) -> list[Route]:
    """The routes that a release has."""
    lacking = (() if release.cancels_jobs else CANCELLING) + (() if release.replaces_nodes else REPLACING)
    return [route for route in ROUTES if route.handler not in lacking]


@functools.cache
def router_of(release: Release) -> Router:
    """The routes of a release, compiled."""
    return Router(routes_of(release))
