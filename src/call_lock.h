/* CallLock: one call at a time, whatever interrupts it. */

#ifndef NETSESSION_CALL_LOCK_H
#define NETSESSION_CALL_LOCK_H

#include "module.h"

extern PyType_Spec call_lock_spec;

#endif
