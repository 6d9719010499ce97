/* SessionCursor: the pages of one NetSessionEnum, one call after the other. */

#ifndef NETSESSION_SESSION_CURSOR_H
#define NETSESSION_SESSION_CURSOR_H

#include "module.h"

extern PyType_Spec session_cursor_spec;

#endif
