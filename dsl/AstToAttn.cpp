// The plan's function and its attention op; regions are filled by `ExprEmitter`.
#include "dsl/AstToAttn.h"

#include "dsl/AstToAttnExpr.h"
#include "dsl/RequestRows.h"
#include "ir/attn/AttnDialect.h"
#include "ir/attn/LayoutAttributes.h"
#include "ir/attn/ProductTypes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"

#include <set>

using namespace mlir;

namespace attn::dsl {

static constexpr StringLiteral kInputNames[] = {"query", "key", "value"};

static mlir::Type elementTypeOf(MLIRContext *context, ElementType type) {
  switch (type) {
  case ElementType::F64:
    return Float64Type::get(context);
  case ElementType::F32:
    return Float32Type::get(context);
  case ElementType::BF16:
    return BFloat16Type::get(context);
  case ElementType::F16:
    return Float16Type::get(context);
  case ElementType::E4M3:
    return Float8E4M3FNType::get(context);
  case ElementType::E5M2:
    return Float8E5M2Type::get(context);
  case ElementType::I32:
    return IntegerType::get(context, 32);
  case ElementType::I16:
    return IntegerType::get(context, 16);
  case ElementType::I8:
  case ElementType::Bool:
    return IntegerType::get(context, 8);
  case ElementType::Bit:
    return IntegerType::get(context, 1);
  }
  llvm_unreachable("all element types are handled");
}

/// The inputs that `expr` reads.
static void collectInputs(const TypedExpr *expr, std::set<const TypedExpr *> &visited, bool (&uses)[3]) {
  if (!expr->domain.inputs || !visited.insert(expr).second)
    return;
  if (expr->kind == ExprKind::Input)
    uses[static_cast<unsigned>(expr->input)] = true;
  for (const TypedExpr *operand : expr->operands)
    collectInputs(operand, visited, uses);
}

namespace {

/// Builds one plan. Members are filled in the order of the methods.
class PlanBuilder {
public:
  PlanBuilder(MLIRContext &context, const TypedSpec &spec) : context(context), spec(spec), builder(&context) {}

  OwningOpRef<ModuleOp> build();

private:
  MLIRContext &context;
  const TypedSpec &spec;
  OpBuilder builder;
  func::FuncOp plan;
  PlanArguments arguments;
  FeatureList features;
  SplitVector valueTerms;
  SmallVector<Value> layoutInputs;   ///< of layouts ragged and paged
  ir::AttentionOp attention;

  Location locationAt(SourcePosition position) { return locationOf(&context, spec, position); }
  Location locationOfExpr(const TypedExpr *expr) { return locationAt(expr->position); }
  LogicalResult refuse(SourcePosition position, const Twine &why) { return emitError(locationAt(position)) << why; }
  mlir::Type rowType(int64_t length) { return VectorType::get({length}, arguments.real); }

  // Before anything is built.
  LogicalResult checkProperties();
  LogicalResult checkSide(ArrayRef<const TypedExpr *> list, InputKind own);
  LogicalResult collect();

  // The function.
  ir::AttnTensorType tensorType(ElementType element, ArrayRef<SizeExpr> dims, bool ascending = false);
  ir::AttnTensorType inputType(InputKind input);
  void addArgument(StringRef name, mlir::Type type, SourcePosition position, SmallVector<NamedAttribute> attributes,
                   Value &slot);
  void addPromise(const std::optional<RangePromise> &range, SmallVector<NamedAttribute> &attributes);
  void addInputs();
  void addLayoutInputs();
  Value layoutInput(StringRef name) const;
  void addTensors();
  void addScalars();
  void widenScalars();
  LogicalResult addAttention();
  Value storedValue();
  LogicalResult setProbsType();
  const TypedExpr *scaleOfSum() const;

  // Regions. `fill` yields values into a block made for `region`.
  LogicalResult fillFeatures(Region &region, ArrayRef<const TypedExpr *> list, InputKind input);
  LogicalResult fillScore();
  LogicalResult fillMask();
  LogicalResult fillValue();
  LogicalResult fillWeight();
  LogicalResult fillInit();
  LogicalResult fillOut();
  LogicalResult yield(Location location, ArrayRef<Value> values);
  SmallVector<mlir::Type> featureTypes(ArrayRef<const TypedExpr *> list, mlir::Type stored);
};

} // namespace

//===----------------------------------------------------------------------===//
// What the dialect can say
//===----------------------------------------------------------------------===//

LogicalResult PlanBuilder::checkProperties() {
  const Properties &properties = spec.properties;
  if (!properties.grad.empty())
    emitWarning(locationAt(properties.gradPosition)) << "gradients are not compiled yet: this is the forward kernel alone";
  if (!spec.usesQuery)
    return refuse(spec.position, "a specification that uses no `query` is not compiled yet");
  return success();
}

/// A feature is made of the row of its side alone.
LogicalResult PlanBuilder::checkSide(ArrayRef<const TypedExpr *> list, InputKind own) {
  for (const TypedExpr *feature : list) {
    bool uses[3] = {};
    std::set<const TypedExpr *> visited;
    collectInputs(feature, visited, uses);
    for (unsigned other = 0; other < 3; ++other)
      if (uses[other] && other != static_cast<unsigned>(own))
        return refuse(feature->position, "a vector of `" + kInputNames[other] + "` in a product on the side of `" +
                                             kInputNames[static_cast<unsigned>(own)] + "` is not compiled yet");
  }
  return success();
}

LogicalResult PlanBuilder::collect() {
  std::vector<const TypedExpr *> roots;
  if (spec.weights.kind == WeightKind::Direct)
    roots.push_back(spec.probs);
  for (const TypedExpr *root : {spec.weights.argument, spec.weights.by})
    if (root)
      roots.push_back(root);
  features = collectFeatures(roots);
  if (features.offender)
    return refuse(features.offender->position, features.problem + " is not compiled yet");
  valueTerms = splitVector(spec.value);
  if (valueTerms.offender)
    return refuse(valueTerms.offender->position, valueTerms.problem + " is not compiled yet");
  if (failed(checkSide(features.query, InputKind::Query)))
    return failure();
  return checkSide(features.key, InputKind::Key);
}

//===----------------------------------------------------------------------===//
// The function
//===----------------------------------------------------------------------===//

ir::AttnTensorType PlanBuilder::tensorType(ElementType element, ArrayRef<SizeExpr> dims, bool ascending) {
  SmallVector<Attribute> sizes;
  for (const SizeExpr &dim : dims)
    sizes.push_back(ir::sizeAttr(&context, dim));
  return ir::AttnTensorType::get(&context, sizes, elementTypeOf(&context, element), ascending);
}

ir::AttnTensorType PlanBuilder::inputType(InputKind input) {
  const Properties &properties = spec.properties;
  bool isQuery = input == InputKind::Query;
  ElementType element = isQuery                      ? properties.queryDtype
                        : input == InputKind::Key ? properties.keyDtype
                                                  : properties.valueDtype;
  return tensorType(element, inputDims(properties, input));
}

void PlanBuilder::addArgument(StringRef name, mlir::Type type, SourcePosition position,
                              SmallVector<NamedAttribute> attributes, Value &slot) {
  attributes.emplace_back(ir::AttnDialect::kName, builder.getStringAttr(name));
  unsigned index = plan.getNumArguments();
  [[maybe_unused]] LogicalResult inserted =
      plan.insertArgument(index, type, builder.getDictionaryAttr(attributes), locationAt(position));
  assert(succeeded(inserted));
  slot = plan.getArgument(index);
}

void PlanBuilder::addPromise(const std::optional<RangePromise> &range, SmallVector<NamedAttribute> &attributes) {
  if (range)
    attributes.emplace_back(ir::AttnDialect::kIn, builder.getStrArrayAttr({range->lo.text(), range->hi.text()}));
}

void PlanBuilder::addInputs() {
  // The query is always an operand of the op; the key's place may be taken by the value's.
  bool uses[3] = {true, spec.usesKey, spec.usesValue};
  for (InputKind input : {InputKind::Query, InputKind::Key, InputKind::Value})
    if (unsigned i = static_cast<unsigned>(input); uses[i])
      addArgument(kInputNames[i], inputType(input), spec.position, {}, arguments.inputs[i]);
}

/// Where the rows of each request lie, and what a launch can check of it.
void PlanBuilder::addLayoutInputs() {
  for (const LayoutInput &input : dsl::layoutInputs(spec.properties)) {
    SmallVector<NamedAttribute> attributes;
    addPromise(RangePromise{SizeExpr::number(0), input.highest}, attributes);
    bool isAscending = input.mostStep.has_value();
    if (isAscending)
      attributes.emplace_back(ir::AttnDialect::kAscending, builder.getUnitAttr());
    if (input.name == "cu_seqlens_q") // the grid is made for requests of that length
      attributes.emplace_back(ir::kMostStepAttr, builder.getStringAttr(input.mostStep->text()));
    if (!input.countedBy.empty()) {
      Attribute counted[] = {builder.getStringAttr(input.countedBy), builder.getI64IntegerAttr(spec.properties.pageSize)};
      attributes.emplace_back(ir::kCountedByAttr, builder.getArrayAttr(counted));
    }
    addArgument(input.name, tensorType(ElementType::I32, input.dims, isAscending), spec.properties.layoutPosition,
                std::move(attributes), layoutInputs.emplace_back());
  }
}

Value PlanBuilder::layoutInput(StringRef name) const {
  for (auto [input, argument] : llvm::zip(dsl::layoutInputs(spec.properties), layoutInputs))
    if (input.name == name)
      return argument;
  return {};
}

void PlanBuilder::addTensors() {
  arguments.tensors.resize(spec.tensors.size());
  for (auto [tensor, slot] : llvm::zip(spec.tensors, arguments.tensors)) {
    if (tensor.isLayoutInput)
      slot = layoutInput(tensor.name);
    if (!tensor.used || slot)
      continue;
    SmallVector<NamedAttribute> attributes;
    addPromise(tensor.range, attributes);
    if (tensor.ascending)
      attributes.emplace_back(ir::AttnDialect::kAscending, builder.getUnitAttr());
    if (tensor.element == ElementType::Bool)
      attributes.emplace_back(ir::AttnDialect::kBool, builder.getUnitAttr());
    addArgument(tensor.name, tensorType(tensor.element, tensor.dims, tensor.ascending), tensor.position,
                std::move(attributes), slot);
  }
}

void PlanBuilder::addScalars() {
  arguments.scalars.resize(spec.scalars.size());
  for (auto [scalar, slot] : llvm::zip(spec.scalars, arguments.scalars)) {
    if (!scalar.used)
      continue;
    bool isBool = scalar.element == ElementType::Bool;
    mlir::Type type = isBool ? builder.getI1Type() : elementTypeOf(&context, scalar.element);
    SmallVector<NamedAttribute> attributes;
    addPromise(scalar.range, attributes);
    if (std::optional<double> value = scalar.defaultValue) {
      Attribute attribute = isBool ? Attribute(builder.getBoolAttr(*value != 0))
                            : scalar.element == ElementType::I32
                                ? Attribute(builder.getI32IntegerAttr(static_cast<int32_t>(*value)))
                                : builder.getF32FloatAttr(static_cast<float>(*value));
      attributes.emplace_back(ir::AttnDialect::kDefault, attribute);
    }
    if (scalar.isScale)
      attributes.emplace_back(ir::AttnDialect::kPositive, builder.getUnitAttr());
    addArgument(scalar.name, type, scalar.position, std::move(attributes), slot);
  }
  if (spec.properties.softmaxScale)
    return;
  SmallVector<NamedAttribute> attributes;
  attributes.emplace_back(ir::AttnDialect::kPositive, builder.getUnitAttr());
  addArgument("softmax_scale", builder.getF32Type(), spec.properties.softmaxScalePosition, std::move(attributes),
              arguments.softmaxScale);
}

/// Where regions compute in f64, so do they with numbers given at launch: the same for all points, and so outside of regions.
void PlanBuilder::widenScalars() {
  OpBuilder before(attention);
  auto widen = [&](Value &number) {
    if (number && number.getType().isF32() && arguments.real.isF64())
      number = arith::ExtFOp::create(before, number.getLoc(), arguments.real, number, arith::FastMathFlagsAttr());
  };
  llvm::for_each(arguments.scalars, widen);
  widen(arguments.softmaxScale);
}

/// The tensor whose rows `value` is made of: the value, or the key where both are stored in one row.
Value PlanBuilder::storedValue() {
  bool uses[3] = {};
  std::set<const TypedExpr *> visited;
  collectInputs(spec.value, visited, uses);
  if (uses[0] || uses[1] == uses[2]) {
    (void)refuse(spec.value->position, "a `value` that is made of " +
                                           Twine(uses[0] ? "`query`" : uses[1] ? "`key` and `value`" : "no input") +
                                           " is not compiled yet");
    return {};
  }
  return arguments.inputs[uses[1] ? 1 : 2];
}

LogicalResult PlanBuilder::addAttention() {
  const Properties &properties = spec.properties;
  SmallVector<mlir::Type> types;
  SmallVector<StringRef> names;
  if (properties.outputOut) {
    names.push_back("out");
    std::vector<SizeExpr> dims = outRowDims(properties);
    dims.push_back(SizeExpr::number(spec.out->type.length));
    types.push_back(tensorType(properties.outDtype, dims));
  }
  auto addRowNumber = [&](StringRef name, bool wanted) {
    if (!wanted)
      return;
    names.push_back(name);
    types.push_back(tensorType(ElementType::F32, rowNumberDims(properties)));
  };
  addRowNumber("lse", properties.outputLse);
  addRowNumber("max_score", properties.outputMaxScore);
  for (auto [name, type] : llvm::zip(names, types))
    (void)plan.insertResult(plan.getNumResults(), type,
                            builder.getDictionaryAttr(builder.getNamedAttr(ir::AttnDialect::kName, builder.getStringAttr(name))));

  Value value = storedValue();
  if (!value)
    return failure();
  Value key = arguments.inputs[1] ? arguments.inputs[1] : value;
  attention = ir::AttentionOp::create(builder, locationAt(spec.position), TypeRange(types), arguments.inputs[0], key, value,
                                      properties.layout == LayoutKind::Ragged ? ValueRange(layoutInputs) : ValueRange(),
                                      properties.layout == LayoutKind::Paged ? ValueRange(layoutInputs) : ValueRange());
  if (properties.layout == LayoutKind::Paged)
    attention.setPageSize(properties.pageSize);
  static constexpr StringLiteral kDefaultNames[] = {"out", "lse", "max_score"};
  if (!llvm::equal(names, ArrayRef(kDefaultNames).take_front(names.size())))
    attention.setOutputsAttr(builder.getStrArrayAttr(names));
  arguments.real = ir::computeType(attention);
  widenScalars();
  if (spec.weights.kind != WeightKind::Softmax)
    attention.setWeights(ir::Weights::direct);
  attention.setNormalize(spec.weights.kind == WeightKind::Normalize);
  if (failed(setProbsType()))
    return failure();
  func::ReturnOp::create(builder, locationAt(spec.position), attention.getResults());
  return success();
}

//===----------------------------------------------------------------------===//
// Regions
//===----------------------------------------------------------------------===//

LogicalResult PlanBuilder::yield(Location location, ArrayRef<Value> values) {
  if (llvm::is_contained(values, Value()))
    return failure();
  ir::YieldOp::create(builder, location, values);
  return success();
}

SmallVector<mlir::Type> PlanBuilder::featureTypes(ArrayRef<const TypedExpr *> list, mlir::Type stored) {
  SmallVector<mlir::Type> types;
  for (const TypedExpr *feature : list)
    types.push_back(rowType(feature->type.length));
  if (types.empty())
    types.push_back(stored);
  return types;
}

LogicalResult PlanBuilder::fillFeatures(Region &region, ArrayRef<const TypedExpr *> list, InputKind input) {
  if (list.empty() || (list.size() == 1 && list[0]->kind == ExprKind::Input))
    return success();
  int64_t stored = spec.properties.headDim;
  if (input == InputKind::Key && !arguments.inputs[1])
    stored = attention.getStoredValueLength();
  Block *block = attention.addBlock(region, rowType(stored));
  builder.setInsertionPointToEnd(block);
  ExprEmitter emitter(builder, spec, arguments);
  emitter.bindInput(input, block->getArgument(0));
  SmallVector<Value> values;
  for (const TypedExpr *feature : list)
    if (!values.emplace_back(emitter.emit(feature)))
      return failure();
  return yield(locationOfExpr(list.back()), values);
}

LogicalResult PlanBuilder::fillScore() {
  auto lastLength = [](Value tensor) {
    auto type = cast<ir::AttnTensorType>(tensor.getType());
    return *type.getConstantSize(type.getRank() - 1);
  };
  SmallVector<mlir::Type> types = featureTypes(features.query, rowType(lastLength(attention.getQuery())));
  unsigned queryCount = types.size();
  llvm::append_range(types, featureTypes(features.key, rowType(lastLength(attention.getKey()))));
  Block *block = attention.addBlock(attention.getScore(), types);
  builder.setInsertionPointToEnd(block);
  ExprEmitter emitter(builder, spec, arguments);
  emitter.setPoint();
  for (auto [index, feature] : llvm::enumerate(features.query))
    emitter.bind(feature, block->getArgument(index));
  for (auto [index, feature] : llvm::enumerate(features.key))
    emitter.bind(feature, block->getArgument(queryCount + index));
  const Weights &weights = spec.weights;
  const TypedExpr *argument = weights.kind == WeightKind::Direct ? spec.probs : weights.argument;
  SmallVector<Value> values{emitter.emit(argument)};
  if (!values[0])
    return failure();
  if (weights.by && weights.by != weights.argument)
    values.push_back(emitter.emit(weights.by));
  return yield(locationOfExpr(argument), values);
}

LogicalResult PlanBuilder::fillMask() {
  if (spec.mask->kind == ExprKind::Boolean && spec.mask->boolean)
    return success();
  builder.setInsertionPointToEnd(attention.addBlock(attention.getMask(), {}));
  ExprEmitter emitter(builder, spec, arguments);
  emitter.setPoint();
  return yield(locationOfExpr(spec.mask), emitter.emit(spec.mask));
}

/// The scale of `value` where its rows are multiplied as they lie in memory: it becomes a factor of the weights where it
/// differs from key to key, else of their sum. Null where there is none, or where a region `value` applies it.
const TypedExpr *PlanBuilder::scaleOfSum() const {
  if (valueTerms.terms.size() != 1)
    return nullptr;
  const VectorTerm &term = valueTerms.terms.front();
  bool isScaledInput = isPartOfInput(*term.vector) && term.factors.size() == 1 && term.factors[0].expr &&
                       term.factors[0].expr->isScale;
  return isScaledInput ? term.factors[0].expr : nullptr;
}

/// What a row of weights is rounded to. Times the scales of blocks of values they may be small: f16 would lose them.
LogicalResult PlanBuilder::setProbsType() {
  ElementType element = spec.properties.probsDtype;
  if (const TypedExpr *scale = scaleOfSum(); scale && scale->domain.column) {
    if (element == ElementType::F16)
      return refuse(spec.properties.scalesPosition, "probs of `f16` times a `value_scale` of blocks would lose small scales; "
                                                    "`probs_dtype: bf16` keeps them");
    if (element != ElementType::F32 && element != ElementType::F64)
      element = ElementType::BF16;
  }
  if (mlir::Type probs = elementTypeOf(&context, element); probs != attention.getProbsElementType())
    attention.setProbsTypeAttr(TypeAttr::get(probs));
  return success();
}

/// The part of `value` that is made of the key row; what the weights multiply is added in `weight`.
LogicalResult PlanBuilder::fillValue() {
  SmallVector<const VectorTerm *> stored;
  for (const VectorTerm &term : valueTerms.terms)
    if (term.vector->domain.inputs || (!term.vector->domain.row && term.side != TermSide::Table))
      stored.push_back(&term);
  const VectorTerm *only = stored.size() == 1 ? stored.front() : nullptr;
  bool isScaledLater = scaleOfSum() != nullptr;
  if (only && (isScaledLater || only->factors.empty()) && only->vector->kind == ExprKind::Input)
    return success();
  Block *block = attention.addBlock(attention.getValueRegion(), rowType(attention.getStoredValueLength()));
  builder.setInsertionPointToEnd(block);
  ExprEmitter emitter(builder, spec, arguments);
  emitter.bindInput(InputKind::Key, block->getArgument(0));
  emitter.bindInput(InputKind::Value, block->getArgument(0));
  Value sum;
  for (const VectorTerm *term : stored) {
    for (const TermFactor &factor : term->factors)
      if (factor.expr && factor.expr->domain.row)
        return refuse(factor.expr->position, "a factor of `value` that depends on the query row is not compiled yet; "
                                             "it can be written as a factor of `probs`");
    Value row = emitter.emit(term->vector);
    row = row && !isScaledLater ? emitter.emitFactors(*term, row, locationOfExpr(term->vector)) : row;
    if (!row)
      return failure();
    sum = sum ? arith::AddFOp::create(builder, locationOfExpr(term->vector), sum, row).getResult() : row;
  }
  return yield(locationOfExpr(spec.value), sum);
}

LogicalResult PlanBuilder::fillWeight() {
  SmallVector<const VectorTerm *> added;
  for (const VectorTerm &term : valueTerms.terms)
    if (!term.vector->domain.inputs && (term.vector->domain.row || term.side == TermSide::Table))
      added.push_back(&term);
  bool changesWeight = spec.weights.kind != WeightKind::Direct && spec.probs != spec.weights.weight;
  const TypedExpr *scale = scaleOfSum();
  if (scale && !scale->domain.column)
    scale = nullptr;
  if (added.empty() && !changesWeight && !scale)
    return success();
  Block *block = attention.addBlock(attention.getWeight(), {arguments.real, rowType(spec.value->type.length)});
  builder.setInsertionPointToEnd(block);
  ExprEmitter emitter(builder, spec, arguments);
  emitter.setPoint();
  Value weight = block->getArgument(0), row = block->getArgument(1);
  if (changesWeight) {
    emitter.bind(spec.weights.weight, weight);
    weight = emitter.emit(spec.probs);
    if (!weight)
      return failure();
  }
  if (scale) {
    Value factor = emitter.emit(scale);
    weight = arith::MulFOp::create(builder, locationOfExpr(scale), weight, factor);
  }
  for (const VectorTerm *term : added) {
    if (term->side != TermSide::Table)
      return refuse(term->vector->position, "a computed vector added to `value` for each query is not compiled yet");
    Value table = emitter.emit(term->vector);
    table = table ? emitter.emitFactors(*term, table, locationOfExpr(term->vector)) : table;
    if (!table)
      return failure();
    row = arith::AddFOp::create(builder, locationOfExpr(term->vector), row, table);
  }
  return yield(locationOfExpr(spec.probs), {weight, row});
}

LogicalResult PlanBuilder::fillInit() {
  const TypedExpr *sink = spec.weights.sink;
  if (!sink)
    return success();
  builder.setInsertionPointToEnd(attention.addBlock(attention.getInit(), {}));
  ExprEmitter emitter(builder, spec, arguments);
  return yield(locationOfExpr(sink), emitter.emit(sink));
}

/// The expression's WeightedSum nodes, each of which is the region's argument.
static void bindWeightedSums(const TypedExpr *expr, Value row, std::set<const TypedExpr *> &visited, ExprEmitter &emitter) {
  if (!visited.insert(expr).second)
    return;
  if (expr->kind == ExprKind::WeightedSum)
    emitter.bind(expr, row);
  for (const TypedExpr *operand : expr->operands)
    bindWeightedSums(operand, row, visited, emitter);
}

LogicalResult PlanBuilder::fillOut() {
  const TypedExpr *scale = scaleOfSum();
  if (scale && scale->domain.column)
    scale = nullptr;
  if ((spec.out->kind == ExprKind::WeightedSum && !scale) || !spec.properties.outputOut)
    return success();
  Block *block = attention.addBlock(attention.getOut(), rowType(spec.value->type.length));
  builder.setInsertionPointToEnd(block);
  ExprEmitter emitter(builder, spec, arguments);
  std::set<const TypedExpr *> visited;
  Value sum = block->getArgument(0);
  if (scale) {
    Location location = locationOfExpr(scale);
    Value factor = vector::BroadcastOp::create(builder, location, sum.getType(), emitter.emit(scale));
    sum = arith::MulFOp::create(builder, location, sum, factor);
  }
  bindWeightedSums(spec.out, sum, visited, emitter);
  return yield(locationOfExpr(spec.out), emitter.emit(spec.out));
}

OwningOpRef<ModuleOp> PlanBuilder::build() {
  Location location = locationAt(spec.position);
  OwningOpRef<ModuleOp> module = ModuleOp::create(location);
  if (failed(checkProperties()) || failed(collect()))
    return {};
  builder.setInsertionPointToEnd(module->getBody());
  plan = func::FuncOp::create(builder, location, spec.name, builder.getFunctionType({}, {}));
  plan->setAttr(ir::AttnDialect::kPlan, builder.getUnitAttr());
  if (spec.properties.layout == LayoutKind::Bhsd)
    plan->setAttr(ir::AttnDialect::kLayout, builder.getStringAttr("bhsd"));
  builder.setInsertionPointToEnd(plan.addEntryBlock());
  addInputs();
  addLayoutInputs();
  addTensors();
  addScalars();
  if (failed(addAttention()) || failed(fillFeatures(attention.getQueryRegion(), features.query, InputKind::Query)) ||
      failed(fillFeatures(attention.getKeyRegion(), features.key, InputKind::Key)) || failed(fillValue()) ||
      failed(fillScore()) || failed(fillMask()) || failed(fillWeight()) || failed(fillInit()) || failed(fillOut()))
    return {};
  if (failed(verify(*module)))
    return {};
  return module;
}

OwningOpRef<ModuleOp> astToAttn(MLIRContext &context, const TypedSpec &spec) {
  context.loadDialect<ir::AttnDialect, arith::ArithDialect, func::FuncDialect, math::MathDialect, vector::VectorDialect>();
  return PlanBuilder(context, spec).build();
}

} // namespace attn::dsl
