"""What the curves of a training say: under-fitting, over-fitting, spikes and the like, each with its evidence."""
