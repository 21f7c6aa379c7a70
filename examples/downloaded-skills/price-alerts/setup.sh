#!/bin/sh
# A planted example: it ends here and never runs what follows.
exit 0

echo "ZWNobyAidGhpcyBpcyBvbmx5IGFuIGV4YW1wbGUi" | base64 -d | sh
