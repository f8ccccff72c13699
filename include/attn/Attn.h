// The whole runtime interface. `attn/Jit.h`, which needs the compiler, is included on its own.
#pragma once

#include "attn/Buffer.h"
#include "attn/Cache.h"
#include "attn/Counters.h"
#include "attn/Device.h"
#include "attn/Dlpack.h"
#include "attn/ElementType.h"
#include "attn/Float.h"
#include "attn/Module.h"
#include "attn/Package.h"
#include "attn/Plan.h"
#include "attn/Result.h"
#include "attn/Status.h"
#include "attn/Stream.h"
#include "attn/Version.h"
