/// How a checkpoint names the layers of its experts. The two lines of the transformers library name them differently in
/// memory, and neither name says what is in the file.
struct ExpertNames: Equatable {
    /// The module of a block that has `experts` in it.
    let block: String
    /// Gate, up and down of one expert; or the two stacks of all of them, gate and up in one.
    let layers: [String]

    /// nil where no tensor is an expert's.
    /// - Parameter tensors: names, dense or of a compressed schema.
    init?(tensors: some Sequence<String>) {
        for tensor in tensors {
            let parts = tensor.split(separator: ".").map(String.init)
            guard let place = parts.firstIndex(of: "experts"), place > 0, place + 1 < parts.count else { continue }
            block = parts[place - 1]
            let isSingle = Int(parts[place + 1]) != nil
            let isNumbered = isSingle && place + 2 < parts.count && ["w1", "w2", "w3"].contains(parts[place + 2])
            layers =
                if isNumbered {
                    ["w1", "w3", "w2"]
                } else if isSingle {
                    ["gate_proj", "up_proj", "down_proj"]
                } else {
                    ["gate_up_proj", "down_proj"]
                }
            return
        }
        return nil
    }
}
