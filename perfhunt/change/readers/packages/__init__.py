"""Package files: `manifests` says which packages a file names, `atoms` which of them changed."""
