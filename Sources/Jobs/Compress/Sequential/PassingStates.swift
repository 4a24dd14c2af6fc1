import MatrixCore
import Safetensors

/// The hidden states of all sequences between two layers, one below the other (tokens × hidden), in a file that has no
/// name: they may be larger than memory, and no other run has a use for them.
final class PassingStates {
    private let file: UnnamedFile
    private let hidden: Int
    /// Tokens so far.
    private var tokens = 0

    init(in journal: Journal, hidden: Int) throws(FileError) {
        file = try journal.unnamedFile()
        self.hidden = hidden
    }

    /// Takes the states of the next tokens (rows × hidden), which have no gaps.
    func append(_ x: MatrixView<Float>) throws(FileError) {
        precondition(x.rowStride == hidden && x.columns == hidden, "rows without gaps")
        try file.write(UnsafeRawBufferPointer(start: x.base, count: bytes(of: x.rows)), at: bytes(of: tokens))
        tokens += x.rows
    }

    /// Copies the states of the tokens in `rows` to x (rows × hidden), which has no gaps.
    func read(_ rows: Range<Int>, into x: MutableMatrixView<Float>) throws(FileError) {
        try file.read(
            into: UnsafeMutableRawBufferPointer(start: x.base, count: bytes(of: rows.count)),
            at: bytes(of: rows.lowerBound))
    }

    private func bytes(of tokens: Int) -> Int { 4 * tokens * hidden }
}
