"""Keep one person equal to HR: python one_person.py ACCOUNT_ID."""

import json
import os
import sys

from scimsync import ConflictResolution, GenesysScimSyncer

syncer = GenesysScimSyncer(
    os.environ["GENESYS_CLIENT_ID"],
    os.environ["GENESYS_CLIENT_SECRET"],
    os.environ.get("GENESYS_REGION", "us-east-1"),
    api_url=os.environ.get("SCIMSYNC_API_URL", ""),  # for a rehearsal: what `scimsync simulate` prints
    login_url=os.environ.get("SCIMSYNC_LOGIN_URL", ""),
)
hr_says = {
    "title": "Team Lead",
    "enterprise:department": "Field Service",
    'emails[type eq "work"].value': "x@example.com",
}
account = syncer.sync_user_attributes(sys.argv[1], hr_says, resolution=ConflictResolution.LOCAL_WINS)
print(json.dumps(account, indent=2))
