// See RowNumbers.h.
//
//   %n = attn.dot %kf, %kf            →    %t = attn.transform %key over key row { …  yield broadcast(Σ kf · kf) : vector<8xf32> }
//                                          %n = attn.load %t[%b, %kv_idx, %kv_head, 0]
//
// A row of eight, for rows in memory are whole pieces of 16 bytes.
#include "passes/attn/RowNumbers.h"

#include "passes/Remarks.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace attn {

static constexpr int64_t kNumbersOfRow = 8;

bool isOfOneRow(ir::DotOp dot, unsigned queryFeatures) {
  auto lhs = dyn_cast<BlockArgument>(dot.getLhs()), rhs = dyn_cast<BlockArgument>(dot.getRhs());
  return lhs && rhs && (lhs.getArgNumber() < queryFeatures) == (rhs.getArgNumber() < queryFeatures);
}

static bool dependsOnQueryHead(Region &region) {
  return region.walk([](ir::IndexOp index) {
                 return index.getKind() == ir::IndexKind::h ? WalkResult::interrupt() : WalkResult::advance();
               }).wasInterrupted();
}

/// [batch, kv_len, heads, 8] numbers, of ragged rows [rows, heads, 8].
static ir::AttnTensorType numbersType(ir::AttentionOp op, Type real) {
  MLIRContext *context = op.getContext();
  SmallVector<Attribute> sizes(op.getKeyType().getSizes());
  sizes.back() = ir::sizeAttr(context, SizeExpr::number(kNumbersOfRow));
  if (!op.getPaged().empty()) { // out of pages, which requests may share
    sizes[0] = ir::sizeAttr(context, SizeExpr::name("batch"));
    sizes[1] = ir::sizeAttr(context, SizeExpr::name("kv_len"));
  }
  return ir::AttnTensorType::get(context, sizes, real, false);
}

/// The transform that makes the number for each key. `features`: of the key, by their places.
static ir::TransformOp makeNumbers(ir::AttentionOp op, ir::DotOp dot, ArrayRef<unsigned> features) {
  OpBuilder builder(op);
  Location location = dot.getLoc();
  Type real = dot.getType();
  auto transform = ir::TransformOp::create(builder, location, numbersType(op, real), op.getKey(), ir::RowSide::key);
  Region &region = op.getKeyRegion();
  SmallVector<Value> rows;
  if (region.empty()) {
    Block &block = transform.getRow().emplaceBlock();
    int64_t channels = *op.getKeyType().getConstantSize(op.getKeyType().getRank() - 1);
    rows.push_back(block.addArgument(VectorType::get({channels}, real), location));
  } else {
    IRMapping mapping;
    region.cloneInto(&transform.getRow(), mapping);
    Operation *yield = transform.getRow().front().getTerminator();
    llvm::append_range(rows, yield->getOperands());
    yield->erase();
  }
  OpBuilder body = OpBuilder::atBlockEnd(&transform.getRow().front());
  Value products = arith::MulFOp::create(body, location, rows[features[0]], rows[features[1]]);
  Value sum = vector::ReductionOp::create(body, location, vector::CombiningKind::ADD, products);
  Value all = vector::BroadcastOp::create(body, location, VectorType::get({kNumbersOfRow}, real), sum);
  ir::YieldOp::create(body, location, all);
  return transform;
}

/// The number of the key at hand.
static Value readNumber(ir::AttentionOp op, ir::DotOp dot, Value numbers) {
  OpBuilder builder(dot);
  Location location = dot.getLoc();
  auto index = [&](ir::IndexKind kind) -> Value { return ir::IndexOp::create(builder, location, builder.getI32Type(), kind); };
  SmallVector<Value> indices;
  Value row = index(ir::IndexKind::kv_idx);
  if (op.getRagged().empty()) {
    indices = {index(ir::IndexKind::b), row};
  } else {
    Value start = ir::SizeOp::create(builder, location, builder.getI32Type(), "kv_start");
    indices = {arith::AddIOp::create(builder, location, start, row)};
  }
  indices.push_back(index(ir::IndexKind::kv_head));
  indices.push_back(arith::ConstantIntOp::create(builder, location, 0, 32));
  return ir::LoadOp::create(builder, location, dot.getType(), numbers, indices);
}

int64_t keyNumberRegisters(ir::AttentionOp op) {
  constexpr int64_t kForPlaces = 32;
  bool reads = op.getScore().walk([](ir::LoadOp load) {
                               return load.getTensor().getDefiningOp<ir::TransformOp>() ? WalkResult::interrupt() : WalkResult::advance();
                             }).wasInterrupted();
  return reads && !op.getPaged().empty() ? kForPlaces : 0;
}

void readKeyNumbers(ir::AttentionOp op) {
  if (op.getScore().empty() || dependsOnQueryHead(op.getKeyRegion()))
    return;
  auto queryFeatures = static_cast<unsigned>(op.getQueryFeatureTypes().size());
  SmallVector<ir::DotOp> dots;
  op.getScore().walk([&](ir::DotOp dot) {
    auto feature = dyn_cast<BlockArgument>(dot.getLhs());
    if (isOfOneRow(dot, queryFeatures) && feature.getArgNumber() >= queryFeatures)
      dots.push_back(dot);
  });
  for (ir::DotOp dot : dots) {
    auto place = [&](Value feature) { return cast<BlockArgument>(feature).getArgNumber() - queryFeatures; };
    ir::TransformOp numbers = makeNumbers(op, dot, {place(dot.getLhs()), place(dot.getRhs())});
    dot.replaceAllUsesWith(readNumber(op, dot, numbers.getResult()));
    remark(dot, RemarkCategory::Fusion, "a number of each key is made once, by a kernel before this one");
    dot.erase();
  }
}

} // namespace attn
