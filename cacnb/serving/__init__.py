"""The apps on one server for several readers: who may open what; not what an app shows."""
