import Foundation
import Safetensors
import Testing

/// What a shell sees of `eval` and `generate`, against numbers that transformers gave.
struct RunCommandTests {
    private static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fixtures").path

    private static func fixture(_ name: String) -> String { "\(fixtures)/\(name)" }

    private static let data =
        ProcessInfo.processInfo.environment["LOWRANK_DATA"]
        ?? URL(fileURLWithPath: fixtures).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("shared/data").path

    private static var hasData: Bool { FileManager.default.fileExists(atPath: data) }

    @Test(arguments: ["tiny-llama", "tiny-gpt2"])
    func evalGivesTheGoldenFigures(name: String) throws {
        let folder = Self.fixture(name)
        let golden = try JSON.parse(file: folder + "/golden.json")
        for (section, words) in [("windows", []), ("documents", ["--documents", golden["separator"]?.string ?? ""])] {
            let run = try ProgramRun.of(["eval", folder, "--text", folder + "/heldout.txt", "--json"] + words)
            #expect(run.code == 0, "\(run.errors)")
            let found = try JSON.parse(run.output), expected = try #require(golden[section])
            #expect(abs((found["loss"]?.double ?? 0) - (expected["loss"]?.double ?? 1)) < 2e-6)
            #expect(found["tokens"] == expected["tokens"])
            #expect(found["windows"] == expected["windows"])
            #expect(found["token_sha256"] == expected["token_sha256"])
            #expect(found["dtype"]?.string == (name == "tiny-llama" ? "BF16" : "F16"))
            #expect(found["context"]?.int == 256)
            #expect(found["window_losses"]?.array?.count == expected["windows"]?.int)
        }
    }

    @Test(.enabled(if: hasData, "needs shared/data"))
    func storiesHaveTheLossOfTransformers() throws {
        let run = try ProgramRun.of([
            "eval", Self.data + "/stories260K", "--text", Self.data + "/text/tinystories.eval.txt", "--documents",
            "<|endoftext|>", "--json",
        ])
        let found = try JSON.parse(run.output)
        #expect(abs((found["loss"]?.double ?? 0) - 1.433427) < 2e-6)
        #expect(found["tokens"]?.int == 73_800)
        #expect(found["windows"]?.int == 186)
    }

    /// A configuration of fewer layers than the file has.
    @Test func whatAModelLeavesOutIsToldOf() throws {
        let folder = try ModelFolder(), model = try folder.copyOfFixture()
        var config = try JSON.parse(file: model + "/config.json")
        config["num_hidden_layers"] = 3
        try Data(config.text(pretty: true).utf8).write(to: URL(fileURLWithPath: model + "/config.json"))
        let text = model + "/heldout.txt"
        let lines = [
            ["eval", model, "--text", text, "--samples", "1"],
            ["generate", model, "--prompt", "a", "--max-tokens", "1"],
            ["calibrate", model, "--text", text, "--samples", "1", "-o", folder.at("stats")],
        ]
        for words in lines {
            let run = try ProgramRun.of(words + ["-q"])
            #expect(run.code == 0, "\(run.errors)")
            #expect(run.errors.contains("belongs to none of the 3 layers"), "\(words[0]): \(run.errors)")
        }
    }

    /// A folder in which someone has put the tokenizer of another model, whose ids fit.
    @Test(.enabled(if: hasData, "needs shared/data"))
    func anOtherTokenizerThatFitsIsDoubted() throws {
        let folder = try ModelFolder(), model = try folder.copyOfFixture()
        for file in ["tokenizer.json", "tokenizer_config.json"] {
            try FileManager.default.removeItem(atPath: "\(model)/\(file)")
            try FileManager.default.copyItem(atPath: "\(Self.data)/stories260K/\(file)", toPath: "\(model)/\(file)")
        }
        let own = Self.fixture("tiny-llama"), text = own + "/heldout.txt"
        let compressed = ["compress", model, "-o", folder.at("small"), "--keep", "0.5", "-q"]
        #expect(try ProgramRun.of(compressed).code == 0)
        let few = "warning: \(model): the tokenizer has 512 tokens and the model a vocabulary of 768"
        let differs = "the tokenizers are not the same"
        let lines: [(words: [String], says: [String])] = [
            (["eval", model, "--text", text, "--samples", "4"], [few, "is worse than guessing"]),
            (["eval", model, "--text", text, "--samples", "4", "--reference", own], [few, differs]),
            (["generate", model, "--prompt", "Once", "--max-tokens", "4"], [few]),
            (["calibrate", model, "--text", text, "--samples", "2", "-o", folder.at("stats")], [few]),
            (
                [
                    "recover", folder.at("small"), "--reference", own, "--text", text, "--samples", "4",
                    "--context", "16", "-o", folder.at("better"),
                ], [differs]
            ),
            (["compress", model, "-o", folder.at("out"), "--keep", "0.5", "--text", text, "--samples", "2"], [few]),
            (
                [
                    "sweep", model, "-o", folder.at("points"), "--methods", "svd", "--keep", "0.5", "--eval-text", text,
                    "--samples", "2",
                ], [few]
            ),
        ]
        for (words, says) in lines {
            let run = try ProgramRun.of(words + ["-q"])
            #expect(run.code == 0, "\(run.errors)")
            for part in says { #expect(run.errors.contains(part), "\(words[0]): \(run.errors)") }
        }
        // The model's own tokenizer, the whole vocabulary of 768: nothing to say.
        let quiet = try ProgramRun.of(["eval", own, "--text", text, "--samples", "4", "--reference", own, "-q"])
        #expect(quiet.errors.isEmpty)
    }

    @Test func theMemoryOfWhatStartsTheProgramIsNotCounted() throws {
        let model = Self.fixture("tiny-llama"), bytes = 512 << 20
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 4096)
        defer { memory.deallocate() }
        memset(memory, 1, bytes)
        let run = try ProgramRun.of(["eval", model, "--text", model + "/heldout.txt", "--samples", "2", "--json"])
        let peak = try #require(try JSON.parse(run.output)["peak_rss_bytes"]?.int)
        #expect(peak > 1 << 20 && peak < bytes)
    }

    /// transformers 5 does not tie what differs.
    @Test func aHeadThatIsTiedByNameOnlyIsUsedAndSaid() throws {
        let folder = try ModelFolder(), model = try folder.copyOfFixture()
        var config = try JSON.parse(file: model + "/config.json")
        config["tie_word_embeddings"] = true
        try AtomicFile.write(config.text(pretty: true), to: model + "/config.json")
        let own = Self.fixture("tiny-llama"), text = ["--text", own + "/heldout.txt", "--samples", "4"]
        let says =
            "\(model): config.json ties lm_head.weight to model.embed_tokens.weight, but both are stored and differ"
        let tied = try ProgramRun.of(["eval", model, "--json"] + text)
        let untied = try ProgramRun.of(["eval", own, "--json"] + text)
        #expect(tied.errors.contains(says) && !untied.errors.contains("ties"))
        let perplexities = try [tied, untied].map { try JSON.parse($0.output)["perplexity"]?.double }
        #expect(perplexities[0] != nil && perplexities[0] == perplexities[1])
        for words in [
            ["generate", model, "--prompt", "Once", "--max-tokens", "2"],
            ["calibrate", model, "-o", folder.at("stats")] + text,
            [
                "sweep", model, "-o", folder.at("points"), "--methods", "svd", "--keep", "0.5", "--eval-text", text[1],
                "--samples", "2",
            ],
        ] {
            let run = try ProgramRun.of(words + ["-q"])
            #expect(run.code == 0 && run.errors.contains(says), "\(words[0]): \(run.errors)")
        }
    }

    @Test func anEncoderThatCannotPredictIsNamed() throws {
        let folder = try ModelFolder(), model = folder.at("encoder")
        try Self.writeEncoder(to: model)
        let run = try ProgramRun.of(["generate", model, "--prompt", "Once", "--max-tokens", "2"])
        #expect(run.code == 3 && run.errors.contains("an encoder without a language-model head"), "\(run.errors)")
        #expect(run.errors.contains(model))
    }

    /// A BERT of one layer, hidden size 4, all weights zero.
    private static func writeEncoder(to folder: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let config: JSON = [
            "model_type": "bert", "architectures": ["BertModel"], "hidden_size": 4, "num_attention_heads": 1,
            "num_hidden_layers": 1, "intermediate_size": 8, "vocab_size": 6, "max_position_embeddings": 5,
            "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
        ]
        try AtomicFile.write(config.text(pretty: true), to: folder + "/config.json")
        var shapes: [(String, [Int])] = [("word", 6), ("position", 5), ("token_type", 2)].map {
            ("embeddings.\($0.0)_embeddings.weight", [$0.1, 4])
        }
        let layer = "encoder.layer.0."
        let linears = [
            ("attention.self.query", 4, 4), ("attention.self.key", 4, 4), ("attention.self.value", 4, 4),
            ("attention.output.dense", 4, 4), ("intermediate.dense", 8, 4), ("output.dense", 4, 8),
        ]
        for (name, rows, columns) in linears {
            shapes += [("\(layer)\(name).weight", [rows, columns]), ("\(layer)\(name).bias", [rows])]
        }
        for name in ["embeddings.", layer + "attention.output.", layer + "output."] {
            shapes += [("\(name)LayerNorm.weight", [4]), ("\(name)LayerNorm.bias", [4])]
        }
        let writer = try SafetensorsWriter(
            path: folder + "/model.safetensors",
            tensors: shapes.map { TensorDeclaration(name: $0.0, dtype: .f32, shape: $0.1) })
        for (name, shape) in shapes {
            let zeros = [UInt8](repeating: 0, count: 4 * shape.reduce(1, *))
            try zeros.withUnsafeBytes { try writer.append($0, to: name) }
        }
        try writer.finish()
    }

    @Test func aModelIsNoDistanceFromItself() throws {
        let folder = Self.fixture("tiny-gpt2")
        let run = try ProgramRun.of([
            "eval", folder, "--text", folder + "/heldout.txt", "--samples", "4", "--reference", folder, "--json",
        ])
        let found = try JSON.parse(run.output), reference = try #require(found["reference"])
        #expect(abs(reference["kl"]?.double ?? 1) < 1e-12)
        #expect(reference["top1_agreement"]?.double == 1)
        #expect(reference["loss"] == found["loss"])
        #expect(reference["output_entropy"] == found["output_entropy"])
        #expect((found["output_entropy"]?.double ?? 0) > 0)
        let drift = try #require(found["drift"]), layers = try #require(drift["layers"]?.array)
        #expect(drift["geometry"]?.double == 0 && (drift["positions"]?.int ?? 0) > 0)
        for layer in layers {
            #expect(layer["relative_error"]?.double == 0 && abs((layer["cosine"]?.double ?? 0) - 1) < 1e-12)
        }
    }

    @Test func aPerplexityAboveTheLimitEndsWithOne() throws {
        let folder = Self.fixture("tiny-gpt2")
        let words = ["eval", folder, "--text", folder + "/heldout.txt", "--samples", "2", "--quiet"]
        let above = try ProgramRun.of(words + ["--fail-if-perplexity-above", "2"])
        #expect(above.code == 1 && above.output.contains("perplexity"))
        #expect(
            above.errors.hasPrefix("lowrank: warning: perplexity ") && above.errors.contains(" is above 2, the limit"))
        let below = try ProgramRun.of(words + ["--fail-if-perplexity-above", "200"])
        #expect(below.code == 0 && below.errors.isEmpty)
    }

    @Test(arguments: [
        ["--fail-if-perplexity-above", "2"], ["--context", "8"], ["--samples", "1"], ["--documents", "x"],
        ["--reference", "x"], ["--logits", "x"],
    ])
    func optionsAboutTextNeedText(option: [String]) throws {
        let run = try ProgramRun.of(["eval", Self.fixture("tiny-gpt2"), "--choices", "x.jsonl"] + option)
        #expect(run.code == 2 && run.errors.contains("\(option[0]) is about text"))
    }

    /// Huge numbers of the type in one tensor, whose sums leave the range where it is used, or infinity.
    @Test(arguments: [
        ("model.layers.2.mlp.down_proj.weight", 0x7F, "layer 2"), ("model.norm.weight", 0x7F, "the head"),
        ("model.embed_tokens.weight", 0x80, "the embedding"),
    ])
    func numbersThatLeaveTheRangeAreAnErrorThatNamesThePlace(tensor: String, low: UInt8, place: String) throws {
        let folder = try ModelFolder(), model = try folder.copyOfFixture()
        let path = model + "/model.safetensors"
        let range = try #require(try SafetensorsFile(path: path).tensor(named: tensor)).byteRange
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        for index in stride(from: range.lowerBound, to: range.upperBound, by: 2) {
            (bytes[index], bytes[index + 1]) = (low, 0x7F)
        }
        try bytes.write(to: URL(fileURLWithPath: path))
        for words in [["eval", model, "--text", model + "/heldout.txt"], ["generate", model, "--prompt", "Salu"]] {
            let run = try ProgramRun.of(words + ["--quiet"])
            #expect(run.code == 4 && run.output.isEmpty, "\(run)")
            #expect(run.errors.contains("\(place) gives numbers that are not finite"), "\(run.errors)")
        }
    }

    @Test(arguments: ["tiny-llama", "tiny-gpt2"])
    func generateGivesTheGoldenText(name: String) throws {
        let folder = Self.fixture(name)
        let golden = try #require(try JSON.parse(file: folder + "/golden.json")["generation"])
        let prompt = try #require(golden["prompt"]?.string)
        let words = ["generate", folder, "--prompt", prompt, "--max-tokens", "32", "--ignore-eos"]
        let run = try ProgramRun.of(words + ["--json", "--threads", "1"])
        let found = try JSON.parse(run.output)
        #expect(found["tokens"] == golden["greedy_ids"])
        #expect(found["text"] == golden["text"])
        #expect(found["prompt_tokens"]?.int == golden["prompt_ids"]?.array?.count)
        let plain = try ProgramRun.of(words + ["--quiet"])
        #expect(plain == ProgramRun(code: 0, output: (golden["text"]?.string ?? "") + "\n", errors: ""))
    }

    @Test func drawnTextDependsOnTheSeedAlone() throws {
        func draw(_ seed: Int, threads: Int) throws -> String {
            try ProgramRun.of([
                "generate", Self.fixture("tiny-llama"), "--prompt", "Salu is", "--max-tokens", "40", "--temperature",
                "1",
                "--top-k", "50", "--top-p", "0.95", "--seed", "\(seed)", "--threads", "\(threads)", "--quiet",
            ]).output
        }
        let first = try draw(1, threads: 1)
        #expect(try draw(1, threads: 2) == first)
        #expect(try draw(2, threads: 2) != first)
    }

    @Test func badTextIsRefused() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("lowrank-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func write(_ bytes: [UInt8], _ name: String) throws -> String {
            let file = folder.appendingPathComponent(name)
            try Data(bytes).write(to: file)
            return file.path
        }
        let latin = try write([0x63, 0x61, 0x66, 0xE9], "latin.txt")
        let empty = try write([], "empty.txt")
        let short = try write(Array("a few words".utf8), "short.txt")
        let ids = try write(Array("[1, 2, 9999]".utf8), "ids.json")
        let words = try write(Array(#"["one"]"#.utf8), "words.json")
        let model = Self.fixture("tiny-gpt2")
        let cases: [([String], Int32, String)] = [
            (["--text", latin], 3, "not UTF-8"), (["--text", empty], 3, "empty"),
            (["--text", short], 3, "fewer than one window of 256"),
            (["--text", short, "--context", "257"], 2, "the model allows 256"),
            (["--tokens", ids, "--context", "3"], 3, "token id 9999 at position 2 is not in the vocabulary of 768"),
            (["--text", folder.path], 3, "Is a directory"), (["--text", "/dev/null"], 3, "not a regular file"),
            (["--tokens", words], 3, "no token id"), (["--text", latin + "x"], 3, "latin.txtx"),
        ]
        for (options, code, message) in cases {
            let run = try ProgramRun.of(["eval", model] + options)
            #expect(run.code == code, "\(options): \(run.errors)")
            #expect(run.errors.contains(message), "\(options): \(run.errors)")
            #expect(run.output.isEmpty)
        }
    }

    @Test func logitsReplaceNothingUnasked() throws {
        let folder = try ModelFolder(), model = try folder.copyOfFixture()
        let before = try folder.content(of: "model")
        let words = ["eval", model, "--text", model + "/heldout.txt", "--samples", "1", "-q", "--logits"]
        for output in [model + "/model.safetensors", model + "/heldout.txt", model + "/logits.safetensors"] {
            let run = try ProgramRun.of(words + [output, "--force"])
            #expect(run.code == 2 && run.errors.contains("the input"), "\(run.errors)")
        }
        #expect(try folder.content(of: "model") == before)
        #expect(try ProgramRun.of(words + [folder.at("logits.safetensors")]).code == 0)
        #expect(try ProgramRun.of(words + [folder.at("logits.safetensors")]).code == 2)
        #expect(try ProgramRun.of(words + [folder.at("logits.safetensors"), "--force"]).code == 0)
        #expect(try SafetensorsFile(path: folder.at("logits.safetensors")).tensors.map(\.shape) == [[256, 768]])
    }

    /// A copy of a fixture with something missing or changed.
    @Test func modelsThatCannotBeRunSayWhy() throws {
        let files = FileManager.default
        let copy = files.temporaryDirectory.appendingPathComponent("lowrank-\(UUID().uuidString)").path
        try files.copyItem(atPath: Self.fixture("tiny-gpt2"), toPath: copy)
        defer { try? files.removeItem(atPath: copy) }
        let text = copy + "/heldout.txt"
        try files.removeItem(atPath: copy + "/tokenizer.json")
        let noTokenizer = try ProgramRun.of(["eval", copy, "--text", text])
        #expect(noTokenizer.code == 3)
        #expect(noTokenizer.errors.contains("--tokens"))
        var config = try JSON.parse(file: copy + "/config.json")
        config["model_type"] = "mamba"
        try config.text(pretty: true).write(toFile: copy + "/config.json", atomically: true, encoding: .utf8)
        let unknown = try ProgramRun.of(["generate", copy, "--prompt", "a"])
        #expect(unknown.code == 3)
        #expect(unknown.errors.contains("mamba") && unknown.errors.contains("gpt_neox"))
    }
}
