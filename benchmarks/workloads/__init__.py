"""What the peers are asked to do: one module for each kind of workload."""
