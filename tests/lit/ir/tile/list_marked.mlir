// RUN: attn-opt %s --split-input-file --verify-diagnostics | attn-opt --split-input-file | FileCheck %s
// Lists of marked places: text, and one case a constraint.

!M = !tile.tensor<[batch, 8, tiles, blocks], f32>   !L = !tile.tensor<[batch, 8, tiles, blocks], i32>
// CHECK-LABEL: func.func @list
func.func @list(%marks: !M, %list: !L, %b: i32, %h: i32, %t: i32, %end: i32, %at: i32) -> i32 attributes {tile.warps = 1 : i32} {
  // CHECK: tile.list_marked %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] before %{{.*}} to %{{.*}} at %{{.*}} : !
  %next = tile.list_marked %marks[%b, %h, %t] before %end to %list at %at : !M, !L
  return %next : i32
}

// -----
// (C1)
!M = !tile.tensor<[batch, 8, tiles, blocks], i32>   !L = !tile.tensor<[batch, 8, tiles, blocks], i32>
func.func @integer_marks(%marks: !M, %list: !L, %b: i32) {
  // expected-error @below {{expects f32 marks and an i32 list of rank 4, but got}}
  %next = tile.list_marked %marks[%b, %b, %b] before %b to %list at %b : !M, !L
  return
}

// -----
!M = !tile.tensor<[batch, 8, tiles, blocks], f32>   !L = !tile.tensor<[tiles, blocks], i32>
func.func @other_rank(%marks: !M, %list: !L, %b: i32) {
  // expected-error @below {{expects f32 marks and an i32 list of rank 4, but got}}
  %next = tile.list_marked %marks[%b, %b, %b] before %b to %list at %b : !M, !L
  return
}

// -----
// (C2)
!M = !tile.tensor<[tiles, blocks], f32>   !L = !tile.tensor<[tiles, blocks], i32>
func.func @four_warps(%marks: !M, %list: !L, %b: i32) attributes {tile.warps = 4 : i32} {
  // expected-error @below {{expects a kernel of one warp, but it has 4}}
  %next = tile.list_marked %marks[%b] before %b to %list at %b : !M, !L
  return
}
