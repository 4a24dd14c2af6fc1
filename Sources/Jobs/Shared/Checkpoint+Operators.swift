import Checkpoints
import CompressionCore
import Safetensors

extension Checkpoint {
    /// The operator of a compressed module.
    public func compressedOperator(of module: CompressedModule) throws -> any LinearOperator {
        do {
            return try MethodRegistry.library.read(operatorSource(module.name, entry: module.entry))
        } catch {
            throw JobError.badInput("\(error)", file: path, tensor: error.subject)
        }
    }

    /// The tensors of a module, as an operator reads them.
    private func operatorSource(_ module: String, entry: JSON) -> OperatorSource {
        OperatorSource(module: module, entry: entry) { (name) throws(OperatorError) in
            guard let tensor = tensor(named: name) else { return nil }
            do {
                return StoredTensor(dtype: tensor.dtype, shape: tensor.shape, bytes: try bytes(of: name))
            } catch {
                throw .unreadable(name, reason: "\(error)")
            }
        }
    }

    /// The shard that holds a tensor.
    func file(of tensor: String) -> String {
        self.tensor(named: tensor).map { files[$0.file].path } ?? path
    }
}
