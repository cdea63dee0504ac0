import MantelCore
import MantelWire
import NIOCore

func fuzzFrames(_ input: [UInt8]) throws {
  let whole = decodeAll([input])
  // Bytes come in any pieces: the frames are the same.
  let cut = input.isEmpty ? 0 : Int(input[0]) % input.count
  let pieces = decodeAll([Array(input[..<cut]), Array(input[cut...])])
  try require(whole.frames == pieces.frames, "frames depend on how their bytes come")
  try require((whole.error == nil) == (pieces.error == nil), "a refusal depends on how its bytes come")
  try require(whole.left <= input.count, "the buffer grew")
  for frame in whole.frames {
    var buffer = ByteBuffer()
    FrameEncoder.encode(frame, into: &buffer)
    try require(
      buffer.readableBytes <= FrameLimits.headerBytes + Limits.frameBytes, "a frame over the limit was taken")
    var decoder = FrameDecoder()
    try require(try decoder.decode(&buffer) == frame, "a frame changes on its way: \(frame)")
    try require(buffer.readableBytes == 0, "a frame leaves bytes behind: \(frame)")
  }
}

private func decodeAll(_ pieces: [[UInt8]]) -> (frames: [Frame], error: WireError?, left: Int) {
  var decoder = FrameDecoder()
  var buffer = ByteBuffer()
  var frames: [Frame] = []
  for piece in pieces {
    buffer.writeBytes(piece)
    do throws(WireError) {
      while let frame = try decoder.decode(&buffer) { frames.append(frame) }
    } catch {
      return (frames, error, buffer.readableBytes)
    }
  }
  return (frames, nil, buffer.readableBytes)
}
