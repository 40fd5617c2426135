"""The guards of the core, each with what the code would be without it, and the tests that notice."""

from tests.mutants.accounts import ACCOUNTS_MUTANTS, NOTICES_MUTANTS, PLACES_MUTANTS
from tests.mutants.avatars import AVATARS_MUTANTS
from tests.mutants.batches import BATCH_MUTANTS
from tests.mutants.boundaries import BOUNDARY_MUTANTS
from tests.mutants.edge import EDGE_MUTANTS
from tests.mutants.edges import (
    CALLBACKS_MUTANTS,
    DELIVERIES_MUTANTS,
    GATES_MUTANTS,
    IDEMPOTENCY_MUTANTS,
    POLLS_MUTANTS,
)
from tests.mutants.endpoints import ENDPOINTS_MUTANTS
from tests.mutants.governor import GOVERNOR_MUTANTS, LOCKS_MUTANTS
from tests.mutants.lifecycle import LIFECYCLE_MUTANTS
from tests.mutants.stories import DIFFERENTIAL_MUTANTS, MACHINE_MUTANTS, SIMULATION_MUTANTS
from tests.mutants.submission import (
    DOUBT_MUTANTS,
    LOOK_UPS_MUTANTS,
    PREPARATION_MUTANTS,
    SUBMISSION_MUTANTS,
    SWEEPS_MUTANTS,
)
from tests.mutants.surroundings import (
    ABSENCE_MUTANTS,
    MIGRATIONS_MUTANTS,
    PRUNE_MUTANTS,
    SETTINGS_MUTANTS,
    STOP_MUTANTS,
    STRAYS_MUTANTS,
    WIRE_MUTANTS,
)
from tests.mutants.uploads import UPLOADS_MUTANTS
from tests.mutants.voices import VOICES_MUTANTS

AREAS = {
    "avatars": AVATARS_MUTANTS,
    "lifecycle": LIFECYCLE_MUTANTS,
    "governor": GOVERNOR_MUTANTS,
    "locks": LOCKS_MUTANTS,
    "accounts": ACCOUNTS_MUTANTS,
    "notices": NOTICES_MUTANTS,
    "places": PLACES_MUTANTS,
    "settings": SETTINGS_MUTANTS,
    "migrations": MIGRATIONS_MUTANTS,
    "stop": STOP_MUTANTS,
    "submission": SUBMISSION_MUTANTS,
    "sweeps": SWEEPS_MUTANTS,
    "preparation": PREPARATION_MUTANTS,
    "doubt": DOUBT_MUTANTS,
    "look-ups": LOOK_UPS_MUTANTS,
    "absence": ABSENCE_MUTANTS,
    "strays": STRAYS_MUTANTS,
    "prune": PRUNE_MUTANTS,
    "wire": WIRE_MUTANTS,
    "idempotency": IDEMPOTENCY_MUTANTS,
    "callbacks": CALLBACKS_MUTANTS,
    "edge": EDGE_MUTANTS,
    "polls": POLLS_MUTANTS,
    "gates": GATES_MUTANTS,
    "deliveries": DELIVERIES_MUTANTS,
    "endpoints": ENDPOINTS_MUTANTS,
    "uploads": UPLOADS_MUTANTS,
    "voices": VOICES_MUTANTS,
    "batches": BATCH_MUTANTS,
    "boundaries": BOUNDARY_MUTANTS,
    "simulation": SIMULATION_MUTANTS,
    "machine": MACHINE_MUTANTS,
    "differential": DIFFERENTIAL_MUTANTS,
}
