"""From a queued task to a finished one."""
