// Control flow, predicates, clocks, address spaces, and the built-in functions.
#include "runtime/emulator/Access.h"
#include "runtime/emulator/Handlers.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>

namespace attn::emulator {

void branchHandler(LaneState &state, const Inst &in) { warpOf(state).jump(in); }
void branchIndexedHandler(LaneState &state, const Inst &in) { warpOf(state).jumpIndexed(in); }
void exitHandler(LaneState &state, const Inst &) { warpOf(state).exitLanes(); }
void nothingHandler(LaneState &, const Inst &) {}

void trapHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  warp.report(in, "X03", warp.exec, "trap");
}

/// mma and its kin need all lanes of the warp at once.
void alignedMmaHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if (!warp.converge(in, warp.live))
    return;
  if (warp.exec != kFullMask) {
    warp.report(in, "D02", ~warp.exec, "divergent aligned instruction: lanes that do not exist or have exited");
    return;
  }
  in.inner(state, in);
}

/// Time is the number of instructions the warp has executed.
void clockHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  std::uint64_t now = warp.executed + warp.pc;
  if (static_cast<ClockKind>(in.kind) == ClockKind::Wide) {
    std::uint64_t values[32];
    for (std::uint64_t &value : values)
      value = now;
    warp.write(in.d, values);
  } else {
    std::uint32_t values[32];
    for (std::uint32_t &value : values)
      value = static_cast<std::uint32_t>(static_cast<ClockKind>(in.kind) == ClockKind::High ? now >> 32 : now);
    warp.write(in.d, values);
  }
  warp.setUndefined(in.d, 0);
}

void predicateLogicHandler(LaneState &state, const Inst &in) {
  std::uint32_t a = state.predicate(in.p1, in.flags & kNegateP1), undefinedA = state.predicatesUndefined[in.p1];
  std::uint32_t b = 0, undefinedB = 0;
  if (in.p2 != kNoPredicate) {
    b = state.predicate(in.p2, in.flags & kNegateP2);
    undefinedB = state.predicatesUndefined[in.p2];
  }
  // A defined operand may decide alone: false and x, true or x.
  switch (in.kind) {
  case 0:
    return state.writePredicate(in.p0, a & b, (undefinedA | undefinedB) & (a | undefinedA) & (b | undefinedB));
  case 1:
    return state.writePredicate(in.p0, a | b, (undefinedA | undefinedB) & (~a | undefinedA) & (~b | undefinedB));
  case 2:
    return state.writePredicate(in.p0, a ^ b, undefinedA | undefinedB);
  case 3:
    return state.writePredicate(in.p0, ~a, undefinedA);
  default:
    return state.writePredicate(in.p0, a, undefinedA);
  }
}

void predicateConstantHandler(LaneState &state, const Inst &in) { state.writePredicate(in.p0, in.imm ? kFullMask : 0, 0); }

/// testp: in.count is the test, in the order of its row.
void floatTestHandler(LaneState &state, const Inst &in) {
  std::uint32_t mask = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    int kind;
    if (in.flags & kWideData)
      kind = std::fpclassify(std::bit_cast<double>(state.plane<std::uint64_t>(in.a)[lane]));
    else
      kind = std::fpclassify(std::bit_cast<float>(state.plane<std::uint32_t>(in.a)[lane]));
    bool holds = false;
    switch (in.count) {
    case 0: holds = kind != FP_INFINITE && kind != FP_NAN; break;
    case 1: holds = kind == FP_INFINITE; break;
    case 2: holds = kind != FP_NAN; break;
    case 3: holds = kind == FP_NAN; break;
    case 4: holds = kind == FP_NORMAL; break;
    default: holds = kind == FP_SUBNORMAL; break;
    }
    mask |= std::uint32_t(holds) << lane;
  }
  state.writePredicate(in.p0, mask, state.undefined[in.a]);
}

void isSpaceHandler(LaneState &state, const Inst &in) {
  std::uint32_t mask = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    std::uint64_t address = state.plane<std::uint64_t>(in.a)[lane];
    ptx::Space space = spaceOf(address);
    if (space == ptx::Space::Global && static_cast<ptx::Space>(in.space) == ptx::Space::Const) {
      const Allocation *found = warpOf(state).launch.memory->find(address);
      mask |= std::uint32_t(found && !found->writable) << lane;
    } else {
      mask |= std::uint32_t(space == static_cast<ptx::Space>(in.space)) << lane;
    }
  }
  state.writePredicate(in.p0, mask, state.undefined[in.a]);
}

void addressConvertHandler(LaneState &state, const Inst &in) {
  std::uint64_t window = static_cast<std::uint64_t>(in.imm), result[32];
  const std::uint64_t *source = state.plane<std::uint64_t>(in.a);
  for (int i = 0; i < 32; ++i)
    result[i] = in.flags & kToSpace ? source[i] - window : source[i] + window;
  std::uint32_t mask = state.undefined[in.a];
  state.write(in.d, result);
  state.setUndefined(in.d, mask);
}

/// Reads `bytes` bytes at a generic address of one lane; false (after a report) when it cannot.
static bool readGeneric(Warp &warp, const Inst &in, unsigned lane, std::uint64_t address, void *target, unsigned bytes) {
  std::uint64_t addresses[32] = {};
  addresses[lane] = address;
  ptx::Space space = spaceOf(addresses[lane]);
  Access access;
  resolve(warp, in, space, addresses, 1u << lane, bytes, 1, AccessKind::Read, access);
  if (!access.mask || warp.state == Warp::State::Failed)
    return false;
  std::memcpy(target, access.base + access.offset[lane], bytes);
  return true;
}

static bool readString(Warp &warp, const Inst &in, unsigned lane, std::uint64_t address, std::string &text) {
  for (char c = 1; text.size() < 4096; text += c) {
    if (!readGeneric(warp, in, lane, address++, &c, 1))
      return false;
    if (c == '\0')
      return true;
  }
  return true;
}

namespace {
/// Formats one vprintf call: the arguments lie one after another, each aligned to its size.
class Formatter {
public:
  Formatter(Warp &warp, const Inst &in, unsigned lane, std::uint64_t arguments)
      : warp(warp), in(in), lane(lane), cursor(arguments) {}

  bool format(const std::string &text, std::string &out) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '%') {
        out += text[i];
        continue;
      }
      std::size_t end = text.find_first_of("diouxXcsfFeEgGaAp%", i + 1);
      if (end == std::string::npos)
        return true;
      if (text[end] == '%')
        out += '%';
      else if (!argument(text.substr(i, end - i + 1), out))
        return false;
      i = end;
    }
    return true;
  }

private:
  template <typename T> bool take(T &value) {
    cursor = (cursor + sizeof(T) - 1) / sizeof(T) * sizeof(T);
    bool read = readGeneric(warp, in, lane, cursor, &value, sizeof(T));
    cursor += sizeof(T);
    return read;
  }
  template <typename T> void print(const std::string &directive, T value, std::string &out) {
    char buffer[512];
    // The directive is one conversion whose argument has the type that its letter asks for.
    int length = std::snprintf(buffer, sizeof(buffer), directive.c_str(), value);
    out.append(buffer, std::min<std::size_t>(static_cast<std::size_t>(std::max(length, 0)), sizeof(buffer) - 1));
  }
  bool argument(std::string directive, std::string &out) {
    char kind = directive.back();
    if (directive.find('*') != std::string::npos)
      return true; // a width from the arguments: left out
    if (std::strchr("fFeEgGaA", kind)) {
      double value = 0;
      if (!take(value))
        return false;
      print(directive, value, out);
      return true;
    }
    bool wide = directive.find('l') != std::string::npos || directive.find('j') != std::string::npos ||
                directive.find('z') != std::string::npos || kind == 's' || kind == 'p';
    if (!wide) {
      std::int32_t value = 0;
      if (!take(value))
        return false;
      print(directive, value, out);
      return true;
    }
    std::uint64_t value = 0;
    if (!take(value))
      return false;
    if (kind == 's') {
      std::string text;
      if (!readString(warp, in, lane, value, text))
        return false;
      print(directive, text.c_str(), out);
    } else if (kind == 'p') {
      out += fmt::format("{:#x}", value);
    } else {
      std::string plain = directive.substr(0, directive.find_first_of("ljz")) + "ll" + kind;
      print(plain, static_cast<long long>(value), out);
    }
    return true;
  }

  Warp &warp;
  const Inst &in;
  unsigned lane;
  std::uint64_t cursor;
};
} // namespace

void printHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if (!warp.checkDefined(in, in.a, "address") || !warp.checkDefined(in, in.b, "address"))
    return;
  for (std::uint32_t rest = warp.exec; rest; rest &= rest - 1) {
    unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
    std::string format, text;
    Formatter formatter(warp, in, lane, warp.plane<std::uint64_t>(in.b)[lane]);
    if (!readString(warp, in, lane, warp.plane<std::uint64_t>(in.a)[lane], format) || !formatter.format(format, text))
      return;
    std::lock_guard lock(warp.launch.mutex);
    warp.launch.output += text;
  }
}

void assertFailHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  unsigned lane = static_cast<unsigned>(std::countr_zero(warp.exec));
  std::string text;
  if (readString(warp, in, lane, warp.plane<std::uint64_t>(in.a)[lane], text))
    warp.report(in, "X03", warp.exec, fmt::format("assertion `{}` failed", text));
}

} // namespace attn::emulator
