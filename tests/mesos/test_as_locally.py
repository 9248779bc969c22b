"""What the local cluster's tests say of graphs, on Mesos."""

# The fixture `shared` is here a service on a Mesos cluster.
from test_cancel import *  # noqa: F401,F403
from test_graphs import *  # noqa: F401,F403
