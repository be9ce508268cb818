"""The example of the public tutorial on its SCIM sync script, unchanged but for the import and the two addresses.

    python tutorial.py ACCOUNT_ID

The addresses are those that `scimsync simulate` prints; without them the organisation is `org_domain`.
"""

import os
import sys

from scimsync import GenesysScimSyncer

syncer = GenesysScimSyncer(
    client_id=os.environ["GENESYS_CLIENT_ID"],
    client_secret=os.environ["GENESYS_CLIENT_SECRET"],
    org_domain=os.environ.get("GENESYS_ORG_DOMAIN", "mypurecloud.com"),
    webhook_url=os.environ.get("HR_WEBHOOK_URL", "https://hr.example.com/webhooks/scim-sync"),
    baseline_schema={
        "displayName": "string",
        'emails[type eq "work"].value': "string",
        "active": "boolean",
        "groups[].value": "string",
    },
    api_url=os.environ.get("SCIMSYNC_API_URL", ""),
    login_url=os.environ.get("SCIMSYNC_LOGIN_URL", ""),
)
local_data = {
    "displayName": "Jane Doe",
    'emails[type eq "work"].value': "jane.doe@example.com",
    "active": True,
}
result = syncer.sync_user_attributes(sys.argv[1], local_data)
print(result)
