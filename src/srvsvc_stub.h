/* The stubs of srvsvc_ndr.h as Python objects. */

#ifndef NETSESSION_SRVSVC_STUB_H
#define NETSESSION_SRVSVC_STUB_H

#include "module.h"

/* New bytes with the request stub; NULL with an exception set. */
PyObject *stub_encode_enum(const srvsvc_enum_request *request);
PyObject *stub_encode_del(const utf16_unit *server, const utf16_unit *client,
                          const utf16_unit *user);

/* A reply stub as bytes: itself, or a copy of another bytes-like object, which might change under
   the strings that point into it. A new reference. */
PyObject *stub_from_object(PyObject *value);

/* Unmarshal; raises MalformedReply. `reply->entries` is then the caller's, to hand to a page
   together with `stub` as its owner. */
int stub_decode_enum(const module_state *state, PyObject *stub, session_enum_reply *reply,
                     PyObject *server);
int stub_decode_del(const module_state *state, PyObject *stub, uint32_t *status, PyObject *server);

#endif
