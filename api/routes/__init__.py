"""One module a resource: schemas above, routes below, and a route is a sentence."""
