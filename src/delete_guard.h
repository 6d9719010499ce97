/* What may not leave this machine as a NetSessionDel. Needs no Python. */

#ifndef NETSESSION_DELETE_GUARD_H
#define NETSESSION_DELETE_GUARD_H

#include "utf16.h"

/* [MS-SRVS] 3.1.4.6: ClientName and UserName are at most 1,024 units with the terminator. */
#define DELETE_NAME_UNITS 1023

/* Why a delete is refused: what is wrong, as a sentence that names the argument. */
typedef struct {
    const char *problem;
    bool too_long; /* which servers refuse too: it is no danger */
} delete_refusal;

/* Whether a delete with these names ends no more than what they name, whatever server gets it;
   otherwise `refusal` says why it may not be sent. A name of NULL means any, and one of the two
   must be there. One that is there must name somebody: a server that finds it empty once it has
   taken off backslashes, or lost what its character set lacks, ends the sessions of everybody. */
bool delete_is_safe(const utf16_unit *client, const utf16_unit *user, delete_refusal *refusal);

#endif
