"""Pages of views: a report's section of them, and the page that follows a run."""
