"""Training recognisers: settings, augmentation, the network, the loop, export (extra ``[train]``)."""
