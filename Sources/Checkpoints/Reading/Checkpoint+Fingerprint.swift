import MatrixCore
import Safetensors

extension Checkpoint {
    /// Identifies a checkpoint by what it holds: 64 hexadecimal digits.
    ///
    /// SHA-256 over the configuration (its values, in the order of the file) and, in natural order of names, every
    /// tensor's name, dtype, shape and three samples of its data: the first, middle and last kilobyte. Names and sizes
    /// of shards, time stamps and paths do not count, so a copy, or the same tensors split into other shards, has the
    /// same fingerprint. Weights that differ only between the samples are not told apart; training changes every block.
    ///
    /// - Cost: reads 3 KiB a tensor, whatever the size of the model.
    public func fingerprint() throws(CheckpointError) -> String {
        var hash = SHA256()
        hash.update(text: config.text(pretty: false))
        for tensor in tensors {
            let header: JSON = [JSON(tensor.name), JSON(tensor.dtype.rawValue), JSON(tensor.shape)]
            hash.update(text: header.text(pretty: false))
            for range in Self.samples(of: tensor.byteCount) {
                try bytes(of: tensor.name, in: range).withUnsafeBytes { hash.update($0) }
            }
        }
        return hash.finish()
    }

    /// First, middle and last kilobyte; everything where that is not more.
    private static func samples(of byteCount: Int) -> [Range<Int>] {
        let sample = 1024
        guard byteCount > 3 * sample else { return [0..<byteCount] }
        let middle = (byteCount - sample) / 2
        return [0..<sample, middle..<middle + sample, byteCount - sample..<byteCount]
    }
}

extension SHA256 {
    fileprivate mutating func update(text: String) {
        Array(text.utf8).withUnsafeBytes { update($0) }
    }
}
