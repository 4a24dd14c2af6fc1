/// Where the tensors of finished groups lie.
struct FinishedTensors: Sendable {
    /// For every group of the outline the file with its tensors, between those of others; nil where all of it stays
    /// dense, or in shards.
    var files: [String?]
    /// Shards of the output that are written already, in order.
    private(set) var shards: [String] = []
    /// The shard that holds a tensor, by its name.
    private var shardOfTensor: [String: Int] = [:]

    init(files: [String?]) { self.files = files }

    /// The file that has a tensor of a group.
    func file(of tensor: String, group: Int) -> String? {
        shard(of: tensor) ?? files[group]
    }

    /// The shard that has a tensor; nil where none does.
    func shard(of tensor: String) -> String? { shardOfTensor[tensor].map { shards[$0] } }

    mutating func add(shard: String, tensors: [String]) {
        for tensor in tensors { shardOfTensor[tensor] = shards.count }
        shards.append(shard)
    }
}
