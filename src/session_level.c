#include "session_level.h"

#define CLIENT_NAME(x) \
    { \
        FIELD_CLIENT_NAME, "client_name", FIELD_STRING, offsetof(x, cname) \
    }
#define USER_NAME(x) \
    { \
        FIELD_USER_NAME, "user_name", FIELD_STRING, offsetof(x, username) \
    }
#define NUM_OPENS(x) \
    { \
        FIELD_NUM_OPENS, "num_opens", FIELD_DWORD, offsetof(x, num_opens) \
    }
#define ACTIVE_TIME(x) \
    { \
        FIELD_ACTIVE_TIME, "active_time", FIELD_DWORD, offsetof(x, time) \
    }
#define IDLE_TIME(x) \
    { \
        FIELD_IDLE_TIME, "idle_time", FIELD_DWORD, offsetof(x, idle_time) \
    }
#define USER_FLAGS(x) \
    { \
        FIELD_USER_FLAGS, "user_flags", FIELD_DWORD, offsetof(x, user_flags) \
    }
#define CLIENT_TYPE(x) \
    { \
        FIELD_CLIENT_TYPE, "client_type", FIELD_STRING, offsetof(x, cltype_name) \
    }
#define TRANSPORT(x) \
    { \
        FIELD_TRANSPORT, "transport", FIELD_STRING, offsetof(x, transport) \
    }

#define LEVEL(number, fields, ...) \
    { \
        number, "SessionInfo" #number, sizeof(session_info_##number), 4 * (fields), fields, \
        { \
            __VA_ARGS__ \
        } \
    }

const session_level session_levels[SESSION_LEVELS] = {
    LEVEL(0, 1, CLIENT_NAME(session_info_0)),
    LEVEL(1, 6, CLIENT_NAME(session_info_1), USER_NAME(session_info_1), NUM_OPENS(session_info_1),
          ACTIVE_TIME(session_info_1), IDLE_TIME(session_info_1), USER_FLAGS(session_info_1)),
    LEVEL(2, 7, CLIENT_NAME(session_info_2), USER_NAME(session_info_2), NUM_OPENS(session_info_2),
          ACTIVE_TIME(session_info_2), IDLE_TIME(session_info_2), USER_FLAGS(session_info_2),
          CLIENT_TYPE(session_info_2)),
    LEVEL(10, 4, CLIENT_NAME(session_info_10), USER_NAME(session_info_10),
          ACTIVE_TIME(session_info_10), IDLE_TIME(session_info_10)),
    LEVEL(502, 8, CLIENT_NAME(session_info_502), USER_NAME(session_info_502),
          NUM_OPENS(session_info_502), ACTIVE_TIME(session_info_502), IDLE_TIME(session_info_502),
          USER_FLAGS(session_info_502), CLIENT_TYPE(session_info_502),
          TRANSPORT(session_info_502)),
};

const session_level *
session_level_find(uint32_t number)
{
    for (size_t i = 0; i < SESSION_LEVELS; i++) {
        if (session_levels[i].number == number) {
            return &session_levels[i];
        }
    }
    return NULL;
}

const session_field *
session_level_field(const session_level *level, field_id id)
{
    for (int i = 0; i < level->field_count; i++) {
        if (level->fields[i].id == id) {
            return &level->fields[i];
        }
    }
    return NULL;
}
