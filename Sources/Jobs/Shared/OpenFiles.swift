import Safetensors

/// Tensor files by path, few of them open at a time: a large model has more finished units than a process may have
/// files open.
final class OpenFiles {
    private let limit: Int
    private var files: [String: SafetensorsFile] = [:]
    /// The longest unused first.
    private var order: [String] = []

    init(limit: Int = 32) { self.limit = limit }

    func file(at path: String) throws -> SafetensorsFile {
        if let file = files[path] {
            if order.last != path, let place = order.firstIndex(of: path) { order.append(order.remove(at: place)) }
            return file
        }
        let file = try SafetensorsFile(path: path)
        if order.count >= limit { files[order.removeFirst()] = nil }
        files[path] = file
        order.append(path)
        return file
    }
}
