// wgmma: issue by the four warps of a warpgroup, groups, and what may not be touched meanwhile (PTX ISA 9.7.15).
//
// A product is one operation of the warpgroup. Each warp issues its part and goes on; once all four have, the product can
// be done: at once (eager), each warp's rows when that warp waits for them (lazy), or in between. The checks of registers hold for any timing:
// between issue and wait the accumulator must not be read or written, and registers of A must not be written (W01);
// registers that were accessed otherwise need a wgmma.fence before the next product (W02).
//
// Factors of 8 bits lie as pairs of them would in 16 bits, with their depth along rows: a step of 32 is one of 16 such pairs.
#include "runtime/emulator/Cta.h"
#include "runtime/emulator/Handlers.h"
#include "runtime/emulator/SharedLayout.h"
#include "runtime/emulator/lanes/LaneHandlers.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace attn::emulator {

static constexpr unsigned kRows = 64, kDepth = 16;

Warpgroup *AsyncEngine::warpgroupOf(const Warp &warp) {
  if (warpgroups.empty())
    for (std::size_t first = 0; first + 4 <= cta.warps.size(); first += 4) {
      Warpgroup &made = warpgroups.emplace_back();
      for (std::size_t i = 0; i < 4; ++i)
        made.warps[i] = cta.warps[first + i].get();
    }
  return warp.index / 4 < warpgroups.size() ? &warpgroups[warp.index / 4] : nullptr;
}

namespace {

/// A tile's 16-byte units, and which of its rows or columns hold undefined bytes.
struct Units {
  std::vector<std::uint32_t> addresses;
  std::vector<bool> undefined; ///< by x; empty when all are defined
};

} // namespace

/// The units of `extent` rows (A) or columns (B): in the order of the dimension they do not run along.
static Units unitsOf(const MatrixDescriptor &descriptor, unsigned extent, bool mnMajor) {
  Units units;
  const unsigned outer = mnMajor ? kDepth : extent, inner = (mnMajor ? extent : kDepth) / 8;
  units.addresses.reserve(outer * inner);
  for (unsigned u = 0; u < outer; ++u)
    for (unsigned v = 0; v < inner; ++v)
      units.addresses.push_back(mnMajor ? descriptor.unitAddress(8 * v, u, true) : descriptor.unitAddress(u, 8 * v, false));
  return units;
}

static void findUndefined(Units &units, const std::vector<std::uint8_t> &shadow, unsigned extent, bool mnMajor) {
  const unsigned inner = (mnMajor ? extent : kDepth) / 8;
  for (std::size_t i = 0; i < units.addresses.size(); ++i) {
    const std::uint32_t address = units.addresses[i];
    if (shadow[address / 8] == 0xFF && shadow[address / 8 + 1] == 0xFF)
      continue;
    units.undefined.resize(extent);
    for (unsigned element = 0; element < 8; ++element)
      if (!allDefined(shadow.data(), address + 2 * element, 2))
        units.undefined[mnMajor ? 8 * (i % inner) + element : i / inner] = true;
  }
}

/// W06, W07 and M01. The other warps' descriptors are compared with the first one's.
static bool checkDescriptor(Warp &warp, const Inst &in, const MatrixDescriptor &descriptor, unsigned extent, bool mnMajor,
                            const char *name) {
  auto wrong = [&](const char *id, std::string why) {
    warp.report(in, id, warp.exec, fmt::format("descriptor of {}: {}", name, why));
    return false;
  };
  if (descriptor.reserved)
    return wrong("W06", fmt::format("the reserved bits {:#x} are set", descriptor.reserved));
  const unsigned pattern = descriptor.swizzle * 8;
  if (descriptor.baseOffset != 0)
    return wrong("W07", fmt::format("base offset {}; only patterns that start on a multiple of their size are supported",
                                    descriptor.baseOffset));
  if (pattern && (descriptor.start % pattern) / 128 != 0)
    return wrong("W07", fmt::format("the tile at {:#x} does not start on a row of the {}-byte swizzle pattern (a multiple of {}, "
                                    "plus steps inside the first row)",
                                    descriptor.start, descriptor.swizzle, pattern));
  Units units = unitsOf(descriptor, extent, mnMajor);
  auto [low, high] = std::minmax_element(units.addresses.begin(), units.addresses.end());
  if (*low < kReservedSharedBytes || *high + 16 > warp.launch.sharedBytes)
    return wrong("M01", fmt::format("out of bounds: the matrix covers shared addresses {:#x} to {:#x} (the window has {} bytes "
                                    "from {:#x})",
                                    *low, *high + 16, warp.launch.sharedBytes - kReservedSharedBytes, kReservedSharedBytes));
  return true;
}

/// Each lane's bit to the four lanes of its group.
static std::uint32_t spreadGroups(std::uint32_t mask) {
  return ((mask | mask >> 1 | mask >> 2 | mask >> 3) & 0x11111111) * 15;
}

/// An element of D is undefined when its row of A, its column of B, or what it accumulates on is.
static void propagate(Warp &warp, const Inst &in, unsigned rank, const Units &a, const Units &b, bool accumulate) {
  const unsigned countD = 4u * in.count;
  std::uint32_t rows[2] = {};
  if (in.kind & kProductRegisterA)
    for (unsigned r = 0; r < 4; ++r)
      rows[r & 1] |= spreadGroups(warp.undefined[in.list[countD + r]]);
  for (unsigned row = 0; row < 16 && !a.undefined.empty(); ++row)
    if (a.undefined[16 * rank + row])
      rows[row / 8] |= 15u << (4 * (row % 8));
  for (unsigned i = 0; i < countD; ++i) {
    std::uint32_t columns = 0;
    for (unsigned t = 0; t < 4 && !b.undefined.empty(); ++t)
      if (b.undefined[8 * (i / 4) + 2 * t + i % 2])
        columns |= 0x11111111u << t;
    std::uint32_t &mask = warp.undefined[in.list[i]];
    mask = (accumulate ? mask : 0) | rows[i / 2 % 2] | columns;
  }
}

/// R01: the tile is not there yet.
void AsyncEngine::reportEarly(Warp &warp, const Inst &in, const std::vector<std::uint32_t> &units) {
  for (std::uint32_t unit : units)
    if (const Transfer *load = findLoad(unit, unit + 16)) {
      const unsigned line = cta.launch.program->origins[load->instruction->origin].instruction->line;
      return warp.report(in, "R01", warp.present,
                         fmt::format("shared RAW race: the product reads shared address {:#x} that the tensor copy at line {} of "
                                     "warp {} has not delivered; no wait covers it",
                                     unit, line, load->warp->index));
    }
}

void AsyncEngine::perform(Warpgroup &group, Product &product, std::uint32_t ranks) {
  const Inst &in = *product.instruction;
  const unsigned columns = 8u * in.count;
  const bool mnMajorA = in.kind & kProductTransposeA, mnMajorB = in.kind & kProductTransposeB;
  Units a, b = unitsOf(MatrixDescriptor::decode(product.b), columns, mnMajorB);
  if (!(in.kind & kProductRegisterA))
    a = unitsOf(MatrixDescriptor::decode(product.a), kRows, mnMajorA);
  if (cta.launch.checked) {
    findUndefined(a, cta.sharedShadow, kRows, mnMajorA);
    findUndefined(b, cta.sharedShadow, columns, mnMajorB);
    for (unsigned rank = 0; rank < 4; ++rank)
      if (ranks >> rank & 1)
        propagate(*group.warps[rank], in, rank, a, b, product.accumulate);
    Warp &first = *group.warps[static_cast<std::size_t>(std::countr_zero(ranks))];
    if (!a.undefined.empty())
      reportEarly(first, in, a.addresses);
    if (!b.undefined.empty())
      reportEarly(first, in, b.addresses);
  }
  ProductTile tile;
  tile.shared = cta.shared.data();
  tile.unitsA = a.addresses.empty() ? nullptr : a.addresses.data();
  tile.unitsB = b.addresses.data();
  tile.list = in.list;
  tile.columns = columns;
  tile.a = static_cast<ptx::ScalarType>(in.space);
  tile.b = static_cast<ptx::ScalarType>(in.bytes);
  tile.transposeA = mnMajorA;
  tile.transposeB = mnMajorB;
  tile.negate = bool(in.kind & kProductNegateA) != bool(in.kind & kProductNegateB);
  tile.accumulate = product.accumulate;
  for (unsigned rank = 0; rank < 4; ++rank)
    tile.warps[rank] = ranks >> rank & 1 ? group.warps[rank] : nullptr;
  laneHandlers().product(tile);
  product.done |= ranks;
}

bool AsyncEngine::finishProducts(Warpgroup &group, std::uint64_t end, std::uint32_t ranks) {
  for (std::uint64_t number = group.first; number < end; ++number) {
    Product &product = group.products[number - group.first];
    if (product.issuers < 4)
      return false;
    if (ranks & ~product.done)
      perform(group, product, ranks & ~product.done);
  }
  while (!group.products.empty() && std::all_of(group.warps.begin(), group.warps.end(), [&](const Warp *warp) {
    return warp->products.waited > group.first;
  })) {
    group.products.pop_front();
    ++group.first;
  }
  return true;
}

/// The units of A that hold the sixteen rows of the group's warp `rank`.
static std::vector<std::uint32_t> unitsOfWarp(const std::vector<std::uint32_t> &units, unsigned rank, bool mnMajor) {
  if (!mnMajor)
    return std::vector(units.begin() + 32 * rank, units.begin() + 32 * (rank + 1));
  std::vector<std::uint32_t> own;
  for (std::size_t k = 0; k < kDepth; ++k)
    own.insert(own.end(), {units[8 * k + 2 * rank], units[8 * k + 2 * rank + 1]});
  return own;
}

/// A warp reads its own rows of A, and B. Accesses are checked when the warp issues its part.
bool AsyncEngine::checkOrder(Warp &warp, const Product &product) {
  const Inst &in = *product.instruction;
  if (!product.unitsA.empty() &&
      !cta.sanitizer->product(warp, in, unitsOfWarp(product.unitsA, warp.index % 4, in.kind & kProductTransposeA), warp.products.issued))
    return false;
  return cta.sanitizer->product(warp, in, product.unitsB, warp.products.issued);
}

bool AsyncEngine::checkLayouts(Warp &warp, const Product &product) {
  const Inst &in = *product.instruction;
  return (product.unitsA.empty() || cta.sanitizer->checkLayout(warp, in, product.unitsA, MatrixDescriptor::decode(product.a).swizzle, "A")) &&
         cta.sanitizer->checkLayout(warp, in, product.unitsB, MatrixDescriptor::decode(product.b).swizzle, "B");
}

void AsyncEngine::issue(Warp &warp, const Inst &in, const Product &product) {
  Warpgroup &group = *warpgroupOf(warp);
  const std::uint64_t at = warp.products.issued - group.first;
  if (at == group.products.size()) {
    Product &made = group.products.emplace_back(product);
    if (cta.sanitizer) {
      made.unitsB = unitsOf(MatrixDescriptor::decode(product.b), 8u * in.count, in.kind & kProductTransposeB).addresses;
      if (!(in.kind & kProductRegisterA))
        made.unitsA = unitsOf(MatrixDescriptor::decode(product.a), kRows, in.kind & kProductTransposeA).addresses;
      if (!checkLayouts(warp, made))
        return;
    }
  }
  Product &shared = group.products[at];
  const unsigned line = cta.launch.program->origins[shared.instruction->origin].instruction->line;
  if (shared.instruction != &in)
    return warp.report(in, "W05", warp.exec, fmt::format("other warps of the warpgroup execute the product at line {} in its place", line));
  if (shared.a != product.a || shared.b != product.b || shared.accumulate != product.accumulate)
    return warp.report(in, "W04", warp.exec, "descriptors or scale-d differ between the warps of the warpgroup");
  if (cta.sanitizer && !checkOrder(warp, shared))
    return;
  ++warp.products.issued;
  if (++shared.issuers < 4)
    return;
  const AsyncCompletion completion = cta.launch.options.completion;
  if (completion == AsyncCompletion::Eager)
    finishProducts(group, warp.products.issued, 15);
  else if (std::uint32_t ranks = cta.random() & 15; completion == AsyncCompletion::Random && ranks)
    finishProducts(group, warp.products.issued, ranks);
  wake(kProductWait, warp.index / 4);
}

/// The value of a 64-bit register that all lanes have to agree on.
static bool uniformDescriptor(Warp &warp, const Inst &in, std::uint32_t slot, std::uint64_t &value) {
  if (!warp.checkDefined(in, slot, "matrix descriptor"))
    return false;
  const std::uint64_t *lanes = warp.plane<std::uint64_t>(slot);
  value = lanes[0];
  if (std::all_of(lanes, lanes + 32, [&](std::uint64_t lane) { return lane == value; }))
    return true;
  warp.report(in, "W04", warp.exec, "the matrix descriptor differs between lanes");
  return false;
}

static bool convergeAll(Warp &warp, const Inst &in) {
  if (!warp.converge(in, warp.live))
    return false;
  if (warp.exec == kFullMask && warp.cta.async.warpgroupOf(warp))
    return true;
  warp.report(in, warp.exec == kFullMask ? "W05" : "D02", ~warp.exec,
              warp.exec == kFullMask ? "the warp is not one of four that form a warpgroup"
                                     : "divergent aligned instruction: lanes that do not exist or have exited");
  return false;
}

static void prepare(Warp &warp) {
  Warp::Products &products = warp.products;
  if (!products.touched.empty())
    return;
  const std::size_t slots = warp.launch.program->slots;
  products.accumulator.assign(slots, 0);
  products.factor.assign(slots, 0);
  products.touched.assign(slots, 0);
  products.shape.assign(slots, 0);
}

/// W01 and W02 for the registers of a product itself.
static bool checkRegisters(Warp &warp, const Inst &in) {
  Warp::Products &products = warp.products;
  auto wrong = [&](const char *id, const char *why) {
    warp.report(in, id, warp.exec, why);
    return false;
  };
  if (products.fences == 0)
    return wrong("W02", "no wgmma.fence comes before the warp's first product");
  for (unsigned i = 0; i < in.listCount; ++i) {
    const std::uint32_t slot = in.list[i];
    const bool isSum = i < 4u * in.count;
    if (products.touched[slot] > products.fences)
      return wrong("W02", isSum ? "the accumulator was accessed after the last wgmma.fence"
                                : "registers of A were written or read after the last wgmma.fence");
    if (isSum && products.factor[slot] > products.waited)
      return wrong("W01", "the accumulator is A of a product that is not waited for");
    if (products.accumulator[slot] <= products.waited)
      continue;
    if (!isSum)
      return wrong("W01", "A is the accumulator of a product that is not waited for");
    if (products.shape[slot] != in.count)
      return wrong("W02", "the accumulator belongs to a product of another shape that is not waited for");
  }
  for (unsigned i = 0; i < in.listCount; ++i) {
    const bool isSum = i < 4u * in.count;
    (isSum ? products.accumulator : products.factor)[in.list[i]] = products.issued + 1;
    if (isSum)
      products.shape[in.list[i]] = in.count;
  }
  return true;
}

void productHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if (!convergeAll(warp, in))
    return;
  prepare(warp);
  Product product;
  product.instruction = &in;
  const bool sharedA = !(in.kind & kProductRegisterA);
  if (!uniformDescriptor(warp, in, in.b, product.b) || (sharedA && !uniformDescriptor(warp, in, in.a, product.a)))
    return;
  const Warpgroup &group = *warp.cta.async.warpgroupOf(warp);
  if (warp.products.issued == group.first + group.products.size() &&
      (!checkDescriptor(warp, in, MatrixDescriptor::decode(product.b), 8u * in.count, in.kind & kProductTransposeB, "B") ||
       (sharedA && !checkDescriptor(warp, in, MatrixDescriptor::decode(product.a), kRows, in.kind & kProductTransposeA, "A"))))
    return;
  if (!warp.checkPredicateDefined(in, in.p1, warp.exec, "scale-d"))
    return;
  const std::uint32_t accumulate = warp.predicate(in.p1, in.flags & kNegateP1);
  if (accumulate != 0 && accumulate != kFullMask)
    return warp.report(in, "W04", warp.exec, "scale-d differs between lanes");
  product.accumulate = accumulate != 0;
  if (warp.launch.checked && !checkRegisters(warp, in))
    return;
  warp.cta.async.issue(warp, in, product);
}

void productFenceHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if (convergeAll(warp, in))
    ++warp.products.fences;
}

void productCommitHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if (convergeAll(warp, in))
    warp.products.groupEnds.push_back(warp.products.issued);
}

void productWaitHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if (!convergeAll(warp, in))
    return;
  Warp::Products &products = warp.products;
  const std::uint64_t left = static_cast<std::uint64_t>(in.imm), groups = products.groupEnds.size();
  const std::uint64_t committed = groups ? products.groupEnds.back() : 0;
  if (left == 0 && committed < products.issued)
    return warp.report(in, "W03", warp.exec, "products were issued, but not committed to a group before this wait");
  const std::uint64_t end = left < groups ? products.groupEnds[groups - left - 1] : 0;
  Warpgroup &group = *warp.cta.async.warpgroupOf(warp);
  if (end <= products.waited)
    return;
  if (!warp.cta.async.finishProducts(group, end, 1u << warp.index % 4))
    return warp.waitAgain(in, kProductWait, warp.index / 4);
  products.waited = end;
  if (warp.cta.sanitizer)
    warp.cta.sanitizer->waitForProducts(warp, in, end);
}

/// The same hazards for all other instructions.
bool Warp::checkPinned(const Inst &in) {
  if (in.fn == productHandler || !launch.checked)
    return true;
  prepare(*this);
  auto check = [&](std::uint32_t slot, bool isResult) {
    if (slot == kNoRegister)
      return true;
    products.touched[slot] = products.fences + 1;
    const bool isSum = products.accumulator[slot] > products.waited;
    if (!isSum && !(isResult && products.factor[slot] > products.waited))
      return true;
    report(in, "W01", active,
           isSum ? fmt::format("{} the accumulator of a product that is not waited for", isResult ? "write to" : "read of")
                 : "write to a register of A of a product that is not waited for");
    return state != State::Failed;
  };
  bool good = check(in.d, in.definesD) && check(in.a, false) && check(in.b, false) && check(in.c, false);
  for (unsigned i = 0; good && i < in.listCount; ++i)
    good = check(in.list[i], i < in.listDefines);
  return good;
}

} // namespace attn::emulator
