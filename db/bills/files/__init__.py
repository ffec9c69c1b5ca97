"""The files of an issued bill, each from its sealed content alone: the same bytes always, and no lead user in them."""
