"""Pages for people: one file that needs nothing else, no network and no scripts, with charts as inline SVG."""
