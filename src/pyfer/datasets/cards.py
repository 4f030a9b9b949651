"""Where each data set comes from: what it is, its terms, its owner's address, how its files lie.

All of this is general knowledge, not advice: the owner's text counts. Nothing is ever downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """What ``pyfer data list`` says of a reader."""

    what: str
    faces: str
    """How many, in words."""
    terms: str
    """Under which terms the owner gives it out (general knowledge)."""
    where: str
    """Where the owner gives it out."""
    layout: str = ""
    """The files, as a tree."""

    @property
    def hint(self) -> str:
        """Return where to get it, for the end of a message; nothing where it has no owner but the user."""
        return f"; {self.what} is given out at {self.where}" if "://" in self.where else ""


_KAGGLE = (
    "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge"
)
_NONCOMMERCIAL = "non-commercial research, agreement with the owner"

CARDS: dict[str, Card] = {
    "fer2013": Card(
        "FER2013 (Goodfellow et al. 2013)",
        "35,887",
        "from a web search, no clear licence; research by custom",
        _KAGGLE,
        "fer2013.csv                       emotion,pixels,Usage\nor\ntrain/angry/*.jpg  test/angry/*.jpg",
    ),
    "ferplus": Card(
        "FER2013 with the FER+ votes (Barsoum et al. 2016)",
        "35,887",
        "votes: MIT; pictures: as fer2013",
        "https://github.com/microsoft/FERPlus",
        "fer2013.csv                       emotion,pixels,Usage\n"
        "fer2013new.csv                    Usage,Image name,neutral,...,contempt,unknown,NF",
    ),
    "fer2013plus": Card(
        "FER2013 and FER+ joined, leaks marked: a compact form",
        "35,714",
        "as ferplus",
        "https://github.com/microsoft/FERPlus",
        "labels.csv  train.npz  public_test.npz  private_test.npz",
    ),
    "ckplus": Card(
        "CK+ (Lucey et al. 2010), four forms",
        "327 sequences",
        _NONCOMMERCIAL,
        "http://www.jeffcohn.net/Resources/",
        "cohn-kanade-images/S005/001/S005_001_00000011.png\n"
        "Emotion/S005/001/S005_001_00000011_emotion.txt\n"
        "or\nlabels.csv  sequences.npz\nor\nckextended.csv                    emotion,pixels,Usage\n"
        "or\nanger/S010_004_00000017.png  contempt/...",
    ),
    "jaffe": Card(
        "JAFFE (Lyons, Kamachi & Gyoba 1998)",
        "213",
        "non-commercial research",
        "https://zenodo.org/records/3451524",
        "KA.AN1.39.tiff                    person KA, anger",
    ),
    "kdef": Card(
        "KDEF (Lundqvist, Flykt & Oehman 1998)",
        "4,900",
        "non-commercial research",
        "https://www.kdef.se",
        "AF01/AF01AFS.JPG                  session A, female 01, afraid, straight",
    ),
    "rafdb": Card(
        "RAF-DB (Li, Deng & Du 2017)",
        "15,339 basic, 3,954 compound",
        "non-commercial research, on request",
        "http://www.whdeng.cn/RAF/model1.html",
        "basic/EmoLabel/list_patition_label.txt         train_00001.jpg 5\n"
        "basic/Image/aligned/train_00001_aligned.jpg\n"
        "basic/Annotation/manual/train_00001_manu_attri.txt\n"
        "compound/...                                   the same",
    ),
    "affectnet": Card(
        "AffectNet (Mollahosseini, Hasani & Mahoor 2017)",
        "291,651 with one of 8 emotions",
        _NONCOMMERCIAL,
        "http://mohammadmahoor.com/affectnet/",
        "training.csv  validation.csv      subDirectory_filePath,face_x,...,expression,valence,arousal\n"
        "Manually_Annotated_Images/...\n"
        "or\ntrain_set/images/0.jpg  train_set/annotations/0_exp.npy  val_set/...",
    ),
    "expw": Card(
        "ExpW (Zhang, Luo, Loy & Tang 2018)",
        "91,793",
        "non-commercial research",
        "http://mmlab.ie.cuhk.edu.hk/projects/socialrelation/index.html",
        "label/label.lst                   name face top left right bottom confidence label\n"
        "image/origin/*.jpg",
    ),
    "sfew": Card(
        "SFEW 2.0 (Dhall et al. 2011)",
        "958 train, 436 validation",
        _NONCOMMERCIAL,
        "https://users.cecs.anu.edu.au/~few_group/AFEW.html",
        "Train/Angry/*.png  Val/Angry/*.png\nor\nTrain_Aligned_Faces/Angry/*.png",
    ),
    "lfw_expressions": Card(
        "LFW news pictures (Huang et al. 2007), labelled by students",
        "13,681",
        "research",
        "https://github.com/muxspace/facial_expressions",
        "labels.csv                        id,file,label,subject,source\nimages.zip",
    ),
    "folders": Card(
        "your own: a folder for each class",
        "any",
        "yours",
        "on your disk",
        "anger/*.jpg  happy/*.jpg\nor\ntrain/anger/*.jpg  test/anger/*.jpg",
    ),
    "manifest": Card(
        "your own: a table of pictures, CSV or Parquet",
        "any",
        "yours",
        "on your disk",
        "faces.csv                         path,label[,id][,subject][,split][,x0,y0,x1,y1][,group ...]",
    ),
    "cartoon": Card("drawn faces, not of people", "any", "none", "made on the spot"),
}
"""Reader -> its card."""
