"""The parts of the service that every room builds on."""
