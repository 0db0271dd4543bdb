"""HTTP: who may see and do what, told as JSON, problems and a live event stream."""
