"""Where calls are caught: the only place that knows client libraries."""
