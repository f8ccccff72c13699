// The element types are part of the public interface; inside the project they are included from here or from there.
#pragma once

#include "attn/ElementType.h"
