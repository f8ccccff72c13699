// The text form of the ops: custom directives of the formats in AttnOps.td, the names that values and blocks get when
// printed, and the generated definitions that use them.
#include "ir/attn/AttnDialect.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace attn::ir {

//===----------------------------------------------------------------------===//
// Regions: `score { ^point(…): … } mask { … }`, those that are absent left out
//===----------------------------------------------------------------------===//

namespace {
struct NamedRegion {
  StringRef name;
  Region *region;
};
} // namespace

static ParseResult parseRegions(OpAsmParser &parser, ArrayRef<NamedRegion> regions) {
  SmallVector<StringRef> names = llvm::map_to_vector(regions, [](const NamedRegion &named) { return named.name; });
  StringRef name;
  SMLoc location = parser.getCurrentLocation();
  while (succeeded(parser.parseOptionalKeyword(&name, names))) {
    Region *region = llvm::find_if(regions, [&](const NamedRegion &named) { return named.name == name; })->region;
    if (!region->empty())
      return parser.emitError(location) << "region `" << name << "` stands twice";
    if (parser.parseRegion(*region))
      return failure();
    if (region->empty())
      return parser.emitError(location) << "region `" << name << "` is empty";
    location = parser.getCurrentLocation();
  }
  return success();
}

static void printRegions(OpAsmPrinter &printer, ArrayRef<NamedRegion> regions) {
  printer.increaseIndent();
  for (auto [name, region] : regions) {
    if (region->empty())
      continue;
    printer.printNewline();
    printer << name << ' ';
    printer.printRegion(*region);
  }
  printer.decreaseIndent();
}

static SmallVector<NamedRegion> named(ArrayRef<StringRef> names, ArrayRef<Region *> regions) {
  return llvm::map_to_vector(llvm::zip_equal(names, regions), [](auto pair) {
    return NamedRegion{std::get<0>(pair), std::get<1>(pair)};
  });
}

static constexpr StringRef kRegionNames[] = {"query", "key", "value", "score", "mask", "weight", "init", "ranges", "out"};

static ParseResult parseAttentionRegions(OpAsmParser &parser, Region &query, Region &key, Region &value, Region &score,
                                         Region &mask, Region &weight, Region &init, Region &ranges, Region &out) {
  return parseRegions(parser,
                      named(kRegionNames, {&query, &key, &value, &score, &mask, &weight, &init, &ranges, &out}));
}

static void printAttentionRegions(OpAsmPrinter &printer, Operation *, Region &query, Region &key, Region &value,
                                  Region &score, Region &mask, Region &weight, Region &init, Region &ranges,
                                  Region &out) {
  printRegions(printer, named(kRegionNames, {&query, &key, &value, &score, &mask, &weight, &init, &ranges, &out}));
}

static ParseResult parseStepRegions(OpAsmParser &parser, Region &query, Region &key, Region &value, Region &score,
                                    Region &mask, Region &weight, Region &init, Region &ranges) {
  return parseRegions(parser, named(ArrayRef(kRegionNames).drop_back(),
                                    {&query, &key, &value, &score, &mask, &weight, &init, &ranges}));
}

static void printStepRegions(OpAsmPrinter &printer, Operation *, Region &query, Region &key, Region &value,
                             Region &score, Region &mask, Region &weight, Region &init, Region &ranges) {
  printRegions(printer, named(ArrayRef(kRegionNames).drop_back(),
                              {&query, &key, &value, &score, &mask, &weight, &init, &ranges}));
}

static ParseResult parseOutRegion(OpAsmParser &parser, Region &out) { return parseRegions(parser, {{"out", &out}}); }
static void printOutRegion(OpAsmPrinter &printer, Operation *, Region &out) { printRegions(printer, {{"out", &out}}); }

//===----------------------------------------------------------------------===//
// Bare words
//===----------------------------------------------------------------------===//

template <typename EnumAttr, typename Symbolize>
static ParseResult parseWord(OpAsmParser &parser, EnumAttr &attribute, Symbolize symbolize, StringRef expected) {
  StringRef word;
  SMLoc location = parser.getCurrentLocation();
  if (parser.parseKeyword(&word))
    return failure();
  auto value = symbolize(word);
  if (!value)
    return parser.emitError(location) << "expects " << expected << ", but got `" << word << "`";
  attribute = EnumAttr::get(parser.getContext(), *value);
  return success();
}

static ParseResult parseIndexKind(OpAsmParser &parser, IndexKindAttr &kind) {
  return parseWord(parser, kind, [](StringRef word) { return symbolizeIndexKind(word); },
                   "one of b, h, kv_head, q_idx, kv_idx");
}
static void printIndexKind(OpAsmPrinter &printer, Operation *, IndexKindAttr kind) {
  printer << stringifyIndexKind(kind.getValue());
}

static ParseResult parseRowSide(OpAsmParser &parser, RowSideAttr &side) {
  return parseWord(parser, side, [](StringRef word) { return symbolizeRowSide(word); }, "query or key");
}
static void printRowSide(OpAsmPrinter &printer, Operation *, RowSideAttr side) {
  printer << stringifyRowSide(side.getValue());
}

static ParseResult parseExtentName(OpAsmParser &parser, StringAttr &name) {
  StringRef word;
  if (parser.parseKeyword(&word))
    return failure();
  name = parser.getBuilder().getStringAttr(word);
  return success();
}
static void printExtentName(OpAsmPrinter &printer, Operation *, StringAttr name) { printer << name.getValue(); }

//===----------------------------------------------------------------------===//
// Names of values and blocks
//===----------------------------------------------------------------------===//

static void nameOutputs(std::optional<ArrayAttr> outputs, ResultRange results,
                        OpAsmSetValueNameFn setName) {
  static constexpr StringRef kDefault[] = {"out", "lse", "max_score"};
  for (auto [index, result] : llvm::enumerate(results)) {
    if (outputs && index < outputs->size())
      setName(result, cast<StringAttr>((*outputs)[index]).getValue());
    else if (index < std::size(kDefault))
      setName(result, kDefault[index]);
  }
}

template <typename AttentionLike>
static void nameArguments(AttentionLike op, Region &region, OpAsmSetValueNameFn setName) {
  auto nameAll = [&](ArrayRef<StringRef> names) {
    for (auto [argument, name] : llvm::zip(region.getArguments(), names))
      setName(argument, name);
  };
  if (&region == &op.getScore()) {
    size_t queries = op.getQueryFeatureTypes().size();
    for (BlockArgument argument : region.getArguments())
      setName(argument, argument.getArgNumber() < queries ? "q" : "k");
  } else if (&region == &op.getQueryRegion()) {
    nameAll({"q"});
  } else if (&region == &op.getKeyRegion()) {
    nameAll({"k"});
  } else if (&region == &op.getValueRegion()) {
    nameAll({"v"});
  } else if (&region == &op.getWeight()) {
    nameAll({"p", "v"});
  } else if (&region == &op.getRanges()) {
    nameAll({"first", "last"});
  } else {
    nameAll({"acc"});
  }
}

template <typename AttentionLike>
static void nameBlocks(AttentionLike op, OpAsmSetBlockNameFn setName) {
  auto nameEntry = [&](Region &region, StringRef name) {
    if (!region.empty())
      setName(&region.front(), name);
  };
  nameEntry(op.getQueryRegion(), "row");
  nameEntry(op.getKeyRegion(), "column");
  nameEntry(op.getValueRegion(), "column");
  nameEntry(op.getScore(), "point");
  nameEntry(op.getWeight(), "point");
  nameEntry(op.getRanges(), "tile");
}

void AttentionOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  nameOutputs(getOutputs(), getResults(), setName);
}
void AttentionOp::getAsmBlockArgumentNames(Region &region, OpAsmSetValueNameFn setName) {
  nameArguments(*this, region, setName);
}
void AttentionOp::getAsmBlockNames(OpAsmSetBlockNameFn setName) {
  nameBlocks(*this, setName);
  if (!getOut().empty())
    setName(&getOut().front(), "row");
}
void OnlineAttentionOp::getAsmResultNames(OpAsmSetValueNameFn setName) { setName(getResult(), "state"); }
void OnlineAttentionOp::getAsmBlockArgumentNames(Region &region, OpAsmSetValueNameFn setName) {
  nameArguments(*this, region, setName);
}
void OnlineAttentionOp::getAsmBlockNames(OpAsmSetBlockNameFn setName) { nameBlocks(*this, setName); }

void FinalizeOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  nameOutputs(getOutputs(), getResults(), setName);
}
void FinalizeOp::getAsmBlockArgumentNames(Region &region, OpAsmSetValueNameFn setName) {
  if (region.getNumArguments() == 1)
    setName(region.getArgument(0), "acc");
}
void FinalizeOp::getAsmBlockNames(OpAsmSetBlockNameFn setName) {
  if (!getOut().empty())
    setName(&getOut().front(), "row");
}

void IdentityOp::getAsmResultNames(OpAsmSetValueNameFn setName) { setName(getResult(), "identity"); }
void IndexOp::getAsmResultNames(OpAsmSetValueNameFn setName) { setName(getResult(), stringifyIndexKind(getKind())); }
void SizeOp::getAsmResultNames(OpAsmSetValueNameFn setName) { setName(getResult(), getName()); }

} // namespace attn::ir

// mlir-tblgen writes parameters it does not use.
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define GET_OP_CLASSES
#include "ir/attn/AttnOps.cpp.inc"
