"""What every room may use: types, errors, meshes, processes, files."""
