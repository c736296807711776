"""What gateways order beside leases, and those who carry it out."""
