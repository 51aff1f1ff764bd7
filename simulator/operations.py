"""The table of SES operations: name, method, path, what it does."""

from typing import Final

from simulator import management as act
from simulator.endpoint import Operation
from simulator.sending import send_bulk_email, send_email

_ACCOUNT: Final = "/v2/email/account"
_SETS: Final = "/v2/email/configuration-sets"
_SET: Final = f"{_SETS}/{{name}}"
_EVENTS: Final = f"{_SET}/event-destinations"
_IDENTITIES: Final = "/v2/email/identities"
_SUPPRESSION: Final = "/v2/email/suppression/addresses"

_ROWS: Final = (
    ("SendEmail", "POST", "/v2/email/outbound-emails", send_email),
    ("SendBulkEmail", "POST", "/v2/email/outbound-bulk-emails", send_bulk_email),
    ("GetAccount", "GET", _ACCOUNT, act.get_account),
    ("PutAccountSendingAttributes", "PUT", f"{_ACCOUNT}/sending", act.put_account_sending),
    (
        "PutAccountSuppressionAttributes",
        "PUT",
        f"{_ACCOUNT}/suppression",
        act.put_account_suppression,
    ),
    ("CreateEmailIdentity", "POST", _IDENTITIES, act.create_identity),
    ("GetEmailIdentity", "GET", f"{_IDENTITIES}/{{name}}", act.get_identity),
    ("DeleteEmailIdentity", "DELETE", f"{_IDENTITIES}/{{name}}", act.delete_identity),
    # botocore 1.43.105 moved the URIs of the two lists; older clients call the old ones.
    ("ListEmailIdentities", "POST", "/v2/email/list-identities", act.list_identities),
    ("ListEmailIdentities", "GET", _IDENTITIES, act.list_identities),
    ("PutSuppressedDestination", "PUT", _SUPPRESSION, act.put_suppressed),
    ("ListSuppressedDestinations", "GET", _SUPPRESSION, act.list_suppressed),
    ("GetSuppressedDestination", "GET", f"{_SUPPRESSION}/{{name}}", act.get_suppressed),
    ("DeleteSuppressedDestination", "DELETE", f"{_SUPPRESSION}/{{name}}", act.delete_suppressed),
    ("CreateConfigurationSet", "POST", _SETS, act.create_set),
    ("GetConfigurationSet", "GET", _SET, act.get_set),
    ("DeleteConfigurationSet", "DELETE", _SET, act.delete_set),
    ("ListConfigurationSets", "POST", "/v2/email/list-configuration-sets", act.list_sets),
    ("ListConfigurationSets", "GET", _SETS, act.list_sets),
    ("PutConfigurationSetSendingOptions", "PUT", f"{_SET}/sending", act.put_set_sending),
    ("GetConfigurationSetEventDestinations", "GET", _EVENTS, act.get_destinations),
    ("CreateConfigurationSetEventDestination", "POST", _EVENTS, act.create_destination),
    (
        "UpdateConfigurationSetEventDestination",
        "PUT",
        f"{_EVENTS}/{{destination}}",
        act.update_destination,
    ),
    (
        "DeleteConfigurationSetEventDestination",
        "DELETE",
        f"{_EVENTS}/{{destination}}",
        act.delete_destination,
    ),
)
OPERATIONS: Final = tuple(Operation(*row) for row in _ROWS)
