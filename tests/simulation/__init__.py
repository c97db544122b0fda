"""The whole stack on simulated time, disk and network, determined by a seed."""
