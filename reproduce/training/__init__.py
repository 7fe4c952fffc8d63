"""Training runs of the DGNOpt paper: data splits, methods, cells and the pool that runs them."""
