#include "CMantelSystem.h"
