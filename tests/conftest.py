"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# A loaded machine makes examples slow, not wrong: time is nothing that a property test may fail for.
settings.register_profile("orchestrate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("orchestrate")
